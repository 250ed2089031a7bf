"""Messages that the ledger gave up on, with payload and reason."""

import asyncpg


async def store_dead_letter(
    pool: asyncpg.Pool, *, consumer: str, message_id: str, subject: str, payload: bytes, reason: str
) -> int | None:
    """Keep it once; returns its number, or None when it is kept already."""
    number: int | None = await pool.fetchval(
        """
        INSERT INTO ledger.dead_letters (consumer, message_id, subject, payload, reason)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (consumer, message_id) DO NOTHING RETURNING id
        """,
        consumer,
        message_id,
        subject,
        payload,
        reason[:1_000],
    )
    return number
