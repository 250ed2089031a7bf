"""What billing says, written in the transaction of what it says it of, and read in the order of commits."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
from chassis import locks
from chassis.ids import new_uuid7
from chassis.jetstream import MESSAGE_OVERHEAD_BYTES
from chassis.postgres import statements
from contracts.codec import encode
from contracts.envelope import CloudEvent, cloud_event_type
from contracts.events.registry import BILLING_EVENT_NAMES, BillingEvent
from msgspec import Struct
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.store.tables import outbox, relay

SOURCE: Final = "billing"
KEEP_SAID: Final = timedelta(days=400)
"""Four times as long as a stream keeps it, and longer than anybody asks what was said of a payment."""
PRUNED_AT_ONCE: Final = 500


class Saying(Struct, frozen=True, kw_only=True):
    """An event to publish: of an account, about an order or a subscription (`subject_id`)."""

    account_id: str
    subject_id: str
    data: BillingEvent


class Said(Struct, frozen=True, kw_only=True):
    """An event as it is published, said `at` that moment; `row` is what stands of it in the outbox."""

    at: datetime
    row: dict[str, object]


async def append(connection: AsyncConnection, sayings: Sequence[Saying], *, cause: str | None = None) -> None:
    """Have the events published once the transaction is committed; the last thing that it does.

    The lock makes the order of positions that of commits, and is held until then: whoever appends does nothing after
    it but commit. `cause` is the id of what it was done for.
    """
    if not sayings:
        return
    await connection.execute(select(func.pg_advisory_xact_lock(locks.BILLING_APPEND)))
    now = datetime.now(UTC)
    await connection.execute(insert(outbox), [said(saying, now, cause).row for saying in sayings])


def said(saying: Saying, at: datetime, cause: str | None = None) -> Said:
    """The saying as an event of that moment, which is not written yet."""
    event_id = new_uuid7()
    name = BILLING_EVENT_NAMES[type(saying.data)]
    event = CloudEvent(
        id=event_id,
        type=cloud_event_type(name),
        source=SOURCE,
        subject=saying.account_id,
        time=at,
        data=saying.data,
        causationid=cause,
    )
    row: dict[str, object] = {
        "event_id": UUID(event_id),
        "name": name,
        "account_id": saying.account_id,
        "subject_id": saying.subject_id,
        "payload": encode(event),
    }
    return Said(at=at, row=row)


async def load_after(connection: asyncpg.Connection, position: int, limit: int) -> list[asyncpg.Record]:
    """The next events of the outbox, oldest first."""
    query = """
        SELECT position, event_id, name, account_id, payload FROM billing.outbox
        WHERE position > $1 ORDER BY position LIMIT $2
    """
    return list(await connection.fetch(query, position, limit))


async def position_before_what_fits(connection: asyncpg.Connection, moment: datetime, room_bytes: int) -> int:
    """The last position that was recorded before then, or of which what follows takes more than that; else 0.

    A message takes `MESSAGE_OVERHEAD_BYTES` beside its payload.
    """
    query = """
        SELECT coalesce(max(position), 0) FROM (
            SELECT position, recorded_at, sum(length(payload) + $3::bigint) OVER (ORDER BY position DESC) AS bytes
            FROM billing.outbox
        ) AS said WHERE recorded_at < $1 OR bytes > $2::bigint
    """
    return await connection.fetchval(query, moment, room_bytes, MESSAGE_OVERHEAD_BYTES) or 0


async def newest_position(connection: asyncpg.Connection) -> int:
    """The last position there is; 0 in an empty outbox."""
    return await connection.fetchval("SELECT coalesce(max(position), 0) FROM billing.outbox") or 0


async def delete_old(engine: AsyncEngine) -> int:
    """Delete a page of what was said and published longer ago than `KEEP_SAID`; how many.

    The newest stays: by it others know how far it goes. Two at once delete in the same order, each what is left.
    """
    published = select(relay.c.position).where(relay.c.name == SOURCE).scalar_subquery()
    newest = select(func.max(outbox.c.position)).scalar_subquery()
    oldest = select(outbox).order_by(outbox.c.position).limit(PRUNED_AT_ONCE).subquery()
    old = select(oldest.c.position).where(
        oldest.c.recorded_at < func.now() - KEEP_SAID, oldest.c.position <= published, oldest.c.position < newest
    )
    async with statements(engine) as connection:
        return (await connection.execute(delete(outbox).where(outbox.c.position.in_(old)))).rowcount
