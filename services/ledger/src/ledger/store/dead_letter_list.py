"""Dead letters as operators list them and retry them."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import NamedTuple

import asyncpg

_COLUMNS = "id, consumer, subject, payload, reason, failed_at, retried_at"
_LETTER = f"SELECT {_COLUMNS} FROM ledger.dead_letters WHERE id = $1"  # noqa: S608  constants
_LETTERS_AFTER = f"""
SELECT {_COLUMNS} FROM ledger.dead_letters WHERE id > $1 AND id <= $2 AND (NOT $3 OR retried_at IS NULL)
ORDER BY id LIMIT 100
"""  # noqa: S608  constants
_NEWEST = "SELECT coalesce(max(id), 0) FROM ledger.dead_letters"


class StoredLetter(NamedTuple):
    """One row of `ledger.dead_letters`."""

    number: int
    consumer: str
    subject: str
    payload: bytes
    reason: str
    failed_at: datetime
    retried_at: datetime | None


async def stored_letters(
    connection: asyncpg.Connection, number: int | None = None, *, waiting_only: bool = False
) -> AsyncGenerator[StoredLetter]:
    """All that there are now, or the one of that number; `waiting_only` leaves out what a retry has settled."""
    if number is not None:
        row = await connection.fetchrow(_LETTER, number)
        if row is not None:
            yield StoredLetter(*row)
        return
    newest, last = await connection.fetchval(_NEWEST), 0
    while rows := await connection.fetch(_LETTERS_AFTER, last, newest, waiting_only):
        for row in rows:
            yield StoredLetter(*row)
        last = rows[-1][0]


async def mark_retried(connection: asyncpg.Connection, number: int) -> None:
    await connection.execute("UPDATE ledger.dead_letters SET retried_at = clock_timestamp() WHERE id = $1", number)
