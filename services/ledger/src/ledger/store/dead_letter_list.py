"""Dead letters as operators list, retry and discard them."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import NamedTuple

import asyncpg

_COLUMNS = "id, consumer, subject, payload, reason, failed_at, retried_at, discarded_at, discarded_by, discard_reason"
_LETTER = f"SELECT {_COLUMNS} FROM ledger.dead_letters WHERE id = $1"  # noqa: S608  constants
_LETTERS_AFTER = f"""
SELECT {_COLUMNS} FROM ledger.dead_letters WHERE id > $1 AND id <= $2
AND (NOT $3 OR (retried_at IS NULL AND discarded_at IS NULL))
ORDER BY id LIMIT 100
"""  # noqa: S608  constants
_DISCARD = """
UPDATE ledger.dead_letters SET discarded_at = clock_timestamp(), discarded_by = $2, discard_reason = $3
WHERE id = $1 AND retried_at IS NULL AND discarded_at IS NULL
"""
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
    discarded_at: datetime | None
    discarded_by: str | None
    discard_reason: str | None


async def stored_letters(
    connection: asyncpg.Connection, number: int | None = None, *, waiting_only: bool = False
) -> AsyncGenerator[StoredLetter]:
    """All that there are now, or the one of that number; `waiting_only` leaves out what is settled."""
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


async def discard_letter(connection: asyncpg.Connection, number: int, *, by: str, reason: str) -> bool:
    """Put a letter that waits away; False where it does not wait, or is none."""
    done: str = await connection.execute(_DISCARD, number, by, reason)
    return done.endswith(" 1")


async def mark_retried(connection: asyncpg.Connection, number: int) -> None:
    await connection.execute("UPDATE ledger.dead_letters SET retried_at = clock_timestamp() WHERE id = $1", number)
