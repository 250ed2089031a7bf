"""Messages that the ledger gave up on, with payload and reason."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

MAX_REASON: Final = 1_000

_STORE: Final = """
INSERT INTO ledger.dead_letters (consumer, message_id, subject, payload, reason)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (consumer, message_id) DO NOTHING RETURNING id
"""
UNANNOUNCED: Final = """
SELECT id, consumer, subject, reason, failed_at FROM ledger.dead_letters
WHERE announced_at IS NULL ORDER BY id LIMIT $1
"""
WAITING: Final = "SELECT count(*) FROM ledger.dead_letters WHERE retried_at IS NULL AND discarded_at IS NULL"
_MARK_ANNOUNCED: Final = "UPDATE ledger.dead_letters SET announced_at = now() WHERE id = ANY ($1::bigint[])"


class Unannounced(NamedTuple):
    number: int
    consumer: str
    subject: str
    reason: str
    failed_at: datetime


async def store_dead_letter(
    pool: asyncpg.Pool, *, consumer: str, message_id: str, subject: str, payload: bytes, reason: str
) -> int | None:
    """Keep it once; returns its number, or None when it is kept already."""
    number: int | None = await pool.fetchval(_STORE, consumer, message_id, subject, payload, reason[:MAX_REASON])
    return number


async def load_unannounced(pool: asyncpg.Pool, limit: int) -> Sequence[Unannounced]:
    """Letters that JetStream has not taken an announcement of, the oldest first."""
    return [Unannounced(*row) for row in await pool.fetch(UNANNOUNCED, limit)]


async def mark_announced(pool: asyncpg.Pool, numbers: Sequence[int]) -> None:
    if numbers:
        await pool.execute(_MARK_ANNOUNCED, numbers)


async def count_waiting(pool: asyncpg.Pool) -> int:
    """Letters that were neither redelivered nor discarded yet."""
    waiting: int = await pool.fetchval(WAITING)
    return waiting
