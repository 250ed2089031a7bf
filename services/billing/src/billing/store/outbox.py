"""What billing says, written in the transaction of what it says it of, and read in the order of commits."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg
from chassis import locks
from chassis.ids import new_uuid7
from contracts.codec import encode
from contracts.envelope import CloudEvent, cloud_event_type
from contracts.events.registry import BILLING_EVENT_NAMES, BillingEvent
from msgspec import Struct
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.store.tables import outbox

SOURCE: Final = "billing"


class Saying(Struct, frozen=True, kw_only=True):
    """An event to publish: of an account, about an order or a subscription (`subject_id`)."""

    account_id: str
    subject_id: str
    data: BillingEvent


async def append(connection: AsyncConnection, sayings: Sequence[Saying], *, cause: str | None = None) -> None:
    """Have the events published once the transaction is committed; the last thing that it does.

    The lock makes the order of positions that of commits, and is held until then: whoever appends does nothing after
    it but commit. `cause` is the id of what it was done for.
    """
    if not sayings:
        return
    await connection.execute(select(func.pg_advisory_xact_lock(locks.BILLING_APPEND)))
    now = datetime.now(UTC)
    await connection.execute(insert(outbox), [_row(saying, now, cause) for saying in sayings])


def _row(saying: Saying, now: datetime, cause: str | None) -> dict[str, object]:
    event_id = new_uuid7()
    name = BILLING_EVENT_NAMES[type(saying.data)]
    event = CloudEvent(
        id=event_id,
        type=cloud_event_type(name),
        source=SOURCE,
        subject=saying.account_id,
        time=now,
        data=saying.data,
        causationid=cause,
    )
    return {
        "event_id": UUID(event_id),
        "name": name,
        "account_id": saying.account_id,
        "subject_id": saying.subject_id,
        "payload": encode(event),
    }


async def load_after(connection: asyncpg.Connection, position: int, limit: int) -> list[asyncpg.Record]:
    """The next events of the outbox, oldest first."""
    query = """
        SELECT position, event_id, name, account_id, payload FROM billing.outbox
        WHERE position > $1 ORDER BY position LIMIT $2
    """
    return list(await connection.fetch(query, position, limit))


async def position_before(connection: asyncpg.Connection, moment: datetime) -> int:
    """The last position that was recorded before then; 0 where there is none."""
    query = "SELECT coalesce(max(position), 0) FROM billing.outbox WHERE recorded_at < $1"
    return await connection.fetchval(query, moment) or 0


async def newest_position(connection: asyncpg.Connection) -> int:
    """The last position there is; 0 in an empty outbox."""
    return await connection.fetchval("SELECT coalesce(max(position), 0) FROM billing.outbox") or 0
