"""The event table as an outbox: what is published next."""

from collections.abc import Sequence
from typing import Final

import asyncpg

EVENTS_AFTER: Final = """
SELECT position, account_id, id, type, data FROM ledger.events WHERE position > $1 ORDER BY position LIMIT $2
"""


async def events_after(connection: asyncpg.Connection, position: int, limit: int) -> Sequence[asyncpg.Record]:
    """(position, account_id, id, type, data) of the next events, in the order of their positions."""
    return await connection.fetch(EVENTS_AFTER, position, limit)
