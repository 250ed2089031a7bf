"""Reads the last event of each account, as the log has it, beside what the account's row says of it."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from chassis.locks import CHECKPOINT

from ledger.store.log import CONNECT_TIMEOUT_SECONDS, PAGE_EVENTS, STATEMENT_TIMEOUT_SECONDS

TURN_SECONDS: Final = 900
"""Longer than a checkpoint takes that has one before it."""
COUNT_TIMEOUT_SECONDS: Final = 600.0
"""An index of some hundred million events is read in this time."""

# Each page is one statement: what it compares is of one moment, and no snapshot lives longer than a page.
_HEADS: Final = """
SELECT account.account_id, account.version, account.head, newest.version, newest.hash, last.version, last.hash
FROM (
    SELECT account_id, version, head FROM ledger.accounts WHERE account_id > $1 ORDER BY account_id LIMIT $3
) AS account
LEFT JOIN LATERAL (
    SELECT version, hash FROM ledger.events AS event WHERE event.account_id = account.account_id
    ORDER BY version DESC LIMIT 1
) AS newest ON true
LEFT JOIN LATERAL (
    SELECT version, hash FROM ledger.events AS event WHERE event.account_id = account.account_id AND position <= $2
    ORDER BY version DESC LIMIT 1
) AS last ON true
ORDER BY account.account_id
"""
_HASHES: Final = """
SELECT event.account_id, event.version, event.hash
FROM unnest($1::text[], $2::bigint[]) AS wanted (account_id, version)
JOIN ledger.events AS event USING (account_id, version)
"""
_COUNT: Final = "SELECT count(*) FROM ledger.events WHERE position <= $1"
_FIRST_ID: Final = "SELECT id::text FROM ledger.events ORDER BY position LIMIT 1"
_TAKE_TURN: Final = "SELECT pg_try_advisory_lock($1)"
_END_TURN: Final = "SELECT pg_advisory_unlock($1)"
_CLOCK: Final = "SELECT clock_timestamp()"


class HeadRow(NamedTuple):
    """What an account's row says, the account's newest event, and its last one up to a position; None where none is."""

    account_id: str
    row_version: int
    row_head: bytes
    newest_version: int | None
    newest_hash: bytes | None
    version: int | None
    hash: bytes | None


async def head_rows(connection: asyncpg.Connection, position: int) -> AsyncIterator[HeadRow]:
    """Of every account that has a row, in the order of their ids."""
    after = ""
    while rows := await connection.fetch(_HEADS, after, position, PAGE_EVENTS):
        for row in rows:
            yield HeadRow(*row)
        after = rows[-1][0]


async def load_hashes(
    connection: asyncpg.Connection, versions: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], bytes]:
    """The stored hashes of events by account and version; those that are not there are left out."""
    accounts = [account_id for account_id, _ in versions]
    rows = await connection.fetch(_HASHES, accounts, [version for _, version in versions])
    return {(row[0], row[1]): row[2] for row in rows}


async def count_events(connection: asyncpg.Connection, position: int) -> int:
    """Up to that position."""
    count: int = await connection.fetchval(_COUNT, position, timeout=COUNT_TIMEOUT_SECONDS)
    return count


async def first_event_id(connection: asyncpg.Connection) -> str | None:
    """Of the log's first event, which tells it from another ledger's; None where there is none."""
    first: str | None = await connection.fetchval(_FIRST_ID)
    return first


@contextlib.asynccontextmanager
async def taken_turn(database_url: str) -> AsyncIterator[bool]:
    """Whether this process is the one that makes a checkpoint during the block.

    Who is frozen within it keeps the others from it for `TURN_SECONDS` at most; were two at it then, one would find its
    number taken.
    """
    connection = await asyncpg.connect(
        database_url,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=STATEMENT_TIMEOUT_SECONDS,
        server_settings={"application_name": "ledger-checkpoint", "idle_session_timeout": f"{TURN_SECONDS}s"},
    )
    try:
        yield await connection.fetchval(_TAKE_TURN, CHECKPOINT)
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):  # the turn was over before
            # A server notices only some time later that a client has gone, and the next turn may be asked for at once.
            await connection.execute(_END_TURN, CHECKPOINT)
    finally:
        connection.terminate()


async def database_time(connection: asyncpg.Connection) -> datetime:
    """One clock for all processes."""
    now: datetime = await connection.fetchval(_CLOCK)
    return now
