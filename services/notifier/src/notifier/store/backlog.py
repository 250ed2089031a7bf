"""What waits, for gauges and readiness."""

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.store.tables import WAITING, messages


async def measure_backlog(engine: AsyncEngine) -> tuple[int, float]:
    """How many messages wait, and the age of the oldest in seconds."""
    pending = messages.c.status.in_(WAITING)
    age = func.extract("epoch", func.now() - func.min(messages.c.created_at))
    async with engine.connect() as connection:
        count, seconds = (await connection.execute(select(func.count(), age).where(pending))).one()
    return count, float(seconds or 0)


async def check_database(engine: AsyncEngine) -> str | None:
    """A readiness check: None when the schema can be read."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1 FROM notifier.messages LIMIT 1"))
    return None
