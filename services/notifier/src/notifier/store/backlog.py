"""What waits, for gauges and readiness."""

from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.store.tables import PENDING, messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Messages that wait, and the age of the oldest in seconds."""

    pending: int
    oldest_pending_seconds: float


async def measure_backlog(engine: AsyncEngine) -> Backlog:
    """The figures behind the gauges."""
    pending = messages.c.status == PENDING
    age = func.extract("epoch", func.now() - func.min(messages.c.created_at))
    async with engine.connect() as connection:
        count, seconds = (await connection.execute(select(func.count(), age).where(pending))).one()
    return Backlog(pending=count, oldest_pending_seconds=float(seconds or 0))


async def check_database(engine: AsyncEngine) -> str | None:
    """A readiness check: None when the schema can be read."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1 FROM notifier.messages LIMIT 1"))
    return None
