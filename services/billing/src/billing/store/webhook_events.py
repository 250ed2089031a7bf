"""Stripe's events: stored as they were signed, each once, and handled by one worker at a time."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from chassis.dead_letters import GivenUp
from chassis.postgres import statements
from msgspec import Struct
from sqlalchemy import delete, exists, func, null, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.store.tables import LETTERS, WEBHOOK_CONSUMER, dead_letters, webhook_events

WAITING: Final = "waiting"
HANDLED: Final = "handled"
IGNORED: Final = "ignored"
GIVEN_UP: Final = "given_up"
FORGOTTEN_AT_ONCE: Final = 500


class ClaimedEvent(Struct, frozen=True, kw_only=True):
    """An event that this worker alone handles until its lease is over; `payload` is the signed bytes."""

    id: str
    type: str
    received_at: datetime
    payload: bytes
    failures: int
    holder: UUID


async def store_event(
    engine: AsyncEngine, *, event_id: str, event_type: str, livemode: bool, happened_at: datetime, payload: bytes
) -> bool:
    """Keep the event under its id; False where it is kept already."""
    values = {
        "id": event_id,
        "type": event_type,
        "livemode": livemode,
        "happened_at": happened_at,
        "payload": payload,
    }
    statement = insert(webhook_events).values(values).on_conflict_do_nothing().returning(webhook_events.c.id)
    async with statements(engine) as connection:
        return (await connection.execute(statement)).one_or_none() is not None


async def claim(engine: AsyncEngine, *, at_most: int, lease: timedelta) -> list[ClaimedEvent]:
    """Events that are due and that nobody is at, oldest first; a worker that dies leaves them due after its lease."""
    holder = uuid4()
    due = (
        select(webhook_events.c.id)
        .where(webhook_events.c.status == WAITING, webhook_events.c.due_at <= func.now())
        .order_by(webhook_events.c.due_at)
        .limit(at_most)
        .with_for_update(skip_locked=True)
    )
    columns = webhook_events.c
    statement = (
        update(webhook_events)
        .where(columns.id.in_(due.scalar_subquery()))
        .values(holder=holder, due_at=func.now() + lease)
        .returning(columns.id, columns.type, columns.received_at, columns.payload, columns.attempts)
    )
    async with statements(engine) as connection:
        rows = (await connection.execute(statement)).all()
    return [
        ClaimedEvent(
            id=row.id,
            type=row.type,
            received_at=row.received_at,
            payload=row.payload or b"",
            failures=row.attempts,
            holder=holder,
        )
        for row in rows
    ]


async def finish(
    engine: AsyncEngine, event: ClaimedEvent, *, outcome: str, order_id: str | None, subscription_id: str | None
) -> None:
    """Note that the event was handled, or ignored where it was about nothing of ours; `outcome` is for people."""
    status = IGNORED if order_id is None and subscription_id is None else HANDLED
    values = {
        "status": status,
        "outcome": outcome,
        "order_id": order_id,
        "subscription_id": subscription_id,
        "handled_at": func.now(),
        "last_error": None,
    }
    # Whoever handled it has done so, even if its lease ran out meanwhile: what another does now comes to the same.
    statement = update(webhook_events).where(webhook_events.c.id == event.id, webhook_events.c.status == WAITING)
    async with statements(engine) as connection:
        await connection.execute(statement.values(values))


async def postpone(engine: AsyncEngine, event: ClaimedEvent, delay: timedelta, *, error: str, counts: bool) -> None:
    """Make the event due again after the delay; `counts`: it was the event that failed, and not Stripe or Postgres."""
    statement = (
        update(webhook_events)
        .where(webhook_events.c.id == event.id, webhook_events.c.holder == event.holder)
        .values(
            attempts=webhook_events.c.attempts + int(counts),
            due_at=func.now() + delay,
            last_error=error,
            holder=null(),
        )
    )
    async with statements(engine) as connection:
        await connection.execute(statement)


async def release(engine: AsyncEngine, holder: UUID) -> None:
    """Make due at once what was claimed together and is not handled."""
    statement = update(webhook_events).where(webhook_events.c.holder == holder, webhook_events.c.status == WAITING)
    async with statements(engine) as connection:
        await connection.execute(statement.values(due_at=func.now(), holder=null()))


async def give_up(engine: AsyncEngine, event: ClaimedEvent, reason: str) -> int | None:
    """End the event as one for a person to look at, with its dead letter; its number, None where it was handled."""
    ended = (
        update(webhook_events)
        .where(
            webhook_events.c.id == event.id,
            webhook_events.c.holder == event.holder,
            webhook_events.c.status == WAITING,
        )
        .values(status=GIVEN_UP, last_error=reason, handled_at=func.now())
        .returning(webhook_events.c.id)
        .cte("ended")
    )
    letter = GivenUp(
        consumer=WEBHOOK_CONSUMER, message_id=event.id, subject=event.type, payload=event.payload, reason=reason
    )
    async with statements(engine) as connection:
        return (await connection.execute(LETTERS.keeping(letter, exists(ended.select())))).scalar_one_or_none()


async def requeue(connection: AsyncConnection, event_id: str, payload: bytes) -> bool:
    """Make an event that was given up wait again, with all its attempts before it; False when it is none.

    The payload is its letter's, which outlives its own.
    """
    statement = (
        update(webhook_events)
        .where(webhook_events.c.id == event_id, webhook_events.c.status == GIVEN_UP)
        .values(
            status=WAITING,
            attempts=0,
            due_at=func.now(),
            payload=payload,
            holder=None,
            last_error=None,
            handled_at=None,
        )
    )
    return (await connection.execute(statement)).rowcount > 0


async def forget_payloads(engine: AsyncEngine, *, keep: timedelta) -> int:
    """Let go of a page of payloads whose time is over: they name people. That there was the event stays; how many."""
    old = (
        select(webhook_events.c.id)
        .where(
            webhook_events.c.payload.is_not(None),
            webhook_events.c.status != WAITING,
            webhook_events.c.received_at < func.now() - keep,
        )
        .order_by(webhook_events.c.received_at)
        .limit(FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    statement = update(webhook_events).where(webhook_events.c.id.in_(old.scalar_subquery())).values(payload=null())
    async with statements(engine) as connection:
        return (await connection.execute(statement)).rowcount


async def delete_old_letters(engine: AsyncEngine, *, keep: timedelta) -> int:
    """Delete a page of dead letters that failed longer ago, retried or not: they hold payloads too; how many."""
    old = select(dead_letters.c.id).where(dead_letters.c.failed_at < func.now() - keep).limit(FORGOTTEN_AT_ONCE)
    async with statements(engine) as connection:
        deleted = await connection.execute(delete(dead_letters).where(dead_letters.c.id.in_(old.scalar_subquery())))
        return deleted.rowcount


async def delete_old(engine: AsyncEngine, *, keep: timedelta) -> int:
    """Delete a page of ended events whose time is over; how many."""
    old = (
        select(webhook_events.c.id)
        .where(webhook_events.c.status != WAITING, webhook_events.c.received_at < func.now() - keep)
        .order_by(webhook_events.c.received_at)
        .limit(FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    async with statements(engine) as connection:
        return (
            await connection.execute(delete(webhook_events).where(webhook_events.c.id.in_(old.scalar_subquery())))
        ).rowcount
