"""The event table as an outbox: what its one publisher reads, and how far it has come."""

from collections.abc import Sequence
from typing import Final

import asyncpg
from chassis import locks

RELAY: Final = "ledger"
"""The name under which its position stands."""

EVENTS_AFTER: Final = """
SELECT position, account_id, id, type, data FROM ledger.events WHERE position > $1 ORDER BY position LIMIT $2
"""
_EVENTS_BEHIND: Final = "SELECT max(position) - $1 FROM ledger.events"
_TRY_LEAD: Final = "SELECT pg_try_advisory_lock($1)"
_POSITION: Final = "SELECT position FROM ledger.relay WHERE name = $1"
_STORE_POSITION: Final = """
INSERT INTO ledger.relay (name, position) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET position = greatest(relay.position, excluded.position)
"""


async def try_lead(connection: asyncpg.Connection) -> bool:
    """Whether this connection is the publisher's now; it is until it closes."""
    leads: bool = await connection.fetchval(_TRY_LEAD, locks.RELAY)
    return leads


async def load_position(connection: asyncpg.Connection) -> int:
    """The last position that is known to be published."""
    position: int | None = await connection.fetchval(_POSITION, RELAY)
    return position or 0


async def store_position(connection: asyncpg.Connection, position: int) -> None:
    """Remember it, unless a later one is known."""
    await connection.execute(_STORE_POSITION, RELAY, position)


async def events_after(connection: asyncpg.Connection, position: int, limit: int) -> Sequence[asyncpg.Record]:
    """(position, account_id, id, type, data) of the next events, in the order of their positions."""
    return await connection.fetch(EVENTS_AFTER, position, limit)


async def count_behind(connection: asyncpg.Connection, position: int) -> int:
    """How many positions the log's end is ahead of this one."""
    behind: int = await connection.fetchval(_EVENTS_BEHIND, position)
    return behind
