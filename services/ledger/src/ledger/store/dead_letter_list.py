"""Dead letters as operators list them and retry them."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import NamedTuple

import asyncpg

from ledger.store.log import stream

_LETTERS = """
SELECT id, consumer, subject, payload, reason, failed_at, retried_at FROM ledger.dead_letters
WHERE ($1::bigint IS NULL OR id = $1) AND (NOT $2 OR retried_at IS NULL) ORDER BY id
"""


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
    """All of them, or the one of that number; `waiting_only` leaves out what a retry has settled."""
    async with connection.transaction(readonly=True):
        async for rows in stream(connection, _LETTERS, number, waiting_only, size=100):
            for row in rows:
                yield StoredLetter(*row)


async def mark_retried(connection: asyncpg.Connection, number: int) -> None:
    await connection.execute("UPDATE ledger.dead_letters SET retried_at = clock_timestamp() WHERE id = $1", number)
