"""Outstanding holds as they are listed: those that wait longest first."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Final

import asyncpg
from msgspec import Struct

FETCHED_ROWS: Final = 1_000
_HOLDS: Final = """
SELECT account_id, reservation_id, state, reserved_at, expires_at, model, endpoint, cycle_id, tokens
FROM projections.outstanding
WHERE ($1::text IS NULL OR account_id = $1) AND reserved_at <= clock_timestamp() - $2::interval
ORDER BY reserved_at, account_id, reservation_id
"""


class HoldLine(Struct, frozen=True):
    """An outstanding hold: `open`, or `unsettled`, which was charged in full since no usage came until `expires_at`."""

    account_id: str
    reservation_id: str
    state: str
    reserved_at: datetime
    expires_at: datetime
    model: str
    endpoint: str
    cycle_id: str
    tokens: int


async def load_outstanding(
    connection: asyncpg.Connection, account_id: str | None, older_than: timedelta
) -> AsyncGenerator[HoldLine]:
    """Of one account or of all, through a cursor."""
    async with connection.transaction(readonly=True):
        cursor = await connection.cursor(_HOLDS, account_id, older_than)
        while rows := await cursor.fetch(FETCHED_ROWS):
            for row in rows:
                yield HoldLine(*row)
