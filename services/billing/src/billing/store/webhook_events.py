"""Stripe's events: stored as they were signed, each once, and handled by one worker at a time."""

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.store.tables import webhook_events

WAITING = "waiting"
GIVEN_UP = "given_up"


async def requeue(connection: AsyncConnection, event_id: str) -> bool:
    """Make an event that was given up wait again, with all its attempts before it; False when it is none."""
    statement = (
        update(webhook_events)
        .where(webhook_events.c.id == event_id, webhook_events.c.status == GIVEN_UP)
        .values(status=WAITING, attempts=0, due_at=func.now(), holder=None, last_error=None)
    )
    return (await connection.execute(statement)).rowcount > 0
