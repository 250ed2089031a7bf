"""What the request log holds about one person: whether there is anything, by which ids it is found, and its erasure."""

from datetime import datetime
from typing import Final

import asyncpg
from msgspec import Struct

ERASE_TIMEOUT_SECONDS: Final = 120.0
MAX_NAMED: Final = 1_000

_HAS: Final = """
SELECT EXISTS (SELECT FROM requests.log WHERE account_id = $1)
OR EXISTS (SELECT FROM requests.refusals WHERE account_id = $1)
OR EXISTS (SELECT FROM requests.forgotten WHERE account_id = $1)
"""
# What was told before, and is stored only after this, meets the mark; the clock is the database's, as of now.
_MARK: Final = """
INSERT INTO requests.forgotten (account_id, at) VALUES ($1, clock_timestamp())
ON CONFLICT (account_id) DO UPDATE SET at = excluded.at
"""
# Granted once those that began before the mark have stored what they store; let go at once.
_WAIT: Final = "SET LOCAL lock_timeout = '10s'; LOCK TABLE ONLY requests.log IN SHARE MODE"
_ERASE: Final = """
WITH bodies AS (DELETE FROM requests.bodies WHERE account_id = $1),
lines AS (DELETE FROM requests.log WHERE account_id = $1 RETURNING request_id)
SELECT count(*) FROM lines
"""
_NAMED: Final = """
SELECT request_id, account_id, at FROM requests.log WHERE request_id = $1
UNION SELECT request_id, account_id, at FROM requests.log WHERE conversation_id = $1
UNION SELECT request_id, account_id, at FROM requests.log WHERE client_request_id = $1
ORDER BY at, request_id LIMIT $2
"""


class NamedRequest(Struct, frozen=True):
    """A request of the log: its id is the reservation's, and `at` is when it came."""

    request_id: str
    account_id: str
    at: datetime


async def find_requests(connection: asyncpg.Connection, any_id: str, limit: int = MAX_NAMED) -> list[NamedRequest]:
    """The requests that a reservation's id, a conversation's or the client's own id means, oldest first."""
    return [NamedRequest(*row) for row in await connection.fetch(_NAMED, any_id, limit)]


async def has_requested(connection: asyncpg.Connection, account_id: str) -> bool:
    """Whether anything is kept of its requests, or was erased lately; who was only ever refused may have no account."""
    found: bool = await connection.fetchval(_HAS, account_id)
    return found


async def erase_requests(connection: asyncpg.Connection, account_id: str) -> int:
    """Erase an account's lines and bodies, and have none kept that was told before now; returns how many lines.

    Counts of refusals stay: they say how often, and nothing of a person. What waits in the stream meets the mark when
    it is read. In no transaction of the caller's: the mark is to be seen before the rest.
    """
    await connection.execute(_MARK, account_id)
    async with connection.transaction():
        await connection.execute(_WAIT)
    erased: int = await connection.fetchval(_ERASE, account_id, timeout=ERASE_TIMEOUT_SECONDS)
    return erased
