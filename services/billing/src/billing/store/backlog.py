"""What waits, for gauges and readiness."""

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.store.tables import webhook_events


async def measure_backlog(engine: AsyncEngine) -> tuple[int, float]:
    """How many of Stripe's events wait, and the age of the oldest in seconds."""
    age = func.extract("epoch", func.now() - func.min(webhook_events.c.received_at))
    async with engine.connect() as connection:
        waiting = select(func.count(), age).where(webhook_events.c.status == "waiting")
        count, seconds = (await connection.execute(waiting)).one()
    return count, float(seconds or 0)


async def check_database(engine: AsyncEngine) -> str | None:
    """A readiness check: None when the schema can be read."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1 FROM billing.orders LIMIT 1"))
    return None
