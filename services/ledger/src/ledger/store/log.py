"""Reads the event log in position order, in chunks, so that memory stays flat."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

CHUNK_EVENTS: Final = 5_000
STATEMENT_TIMEOUT_SECONDS: Final = 60.0
"""For one chunk, not for the whole log."""
CONNECT_TIMEOUT_SECONDS: Final = 10.0
CONNECTION_SETTINGS: Final = {
    "application_name": "ledger-log",
    # The log is read along its index however long it is; sorting it would fill the disk before the first row.
    "enable_sort": "off",
    "cursor_tuple_fraction": "1.0",
    "jit": "off",
    # A cursor can't use parallel workers; planning for them only makes it slower.
    "max_parallel_workers_per_gather": "0",
}

_ROW: Final = "position, account_id, version, id, type, recorded_at, data, hash"
IN_SHARE: Final = "($1 = 1 OR mod(hashtext(account_id), $1) IN ($2, $2 - $1))"
"""Accounts of share $2 of $1; `mod` keeps the sign of a negative hash."""

_ROWS_OF_SHARE: Final = f"SELECT {_ROW} FROM ledger.events WHERE {IN_SHARE} ORDER BY position"  # noqa: S608  constants
_FOLDS_OF_SHARE: Final = f"""
SELECT position, account_id, version, type, data FROM ledger.events WHERE {IN_SHARE} ORDER BY position
"""  # noqa: S608  constants
_ROWS_BETWEEN: Final = f"SELECT {_ROW} FROM ledger.events WHERE position BETWEEN $1 AND $2 ORDER BY position"  # noqa: S608
_ROWS_OF_ACCOUNT_BETWEEN: Final = f"""
SELECT {_ROW} FROM ledger.events WHERE account_id = $3 AND position BETWEEN $1 AND $2 ORDER BY version
"""  # noqa: S608  constants
_ROWS_OF_ACCOUNT: Final = f"""
SELECT {_ROW} FROM ledger.events WHERE account_id = $1 AND version > $2 ORDER BY version
"""  # noqa: S608  constants
_FACTS_UNTIL: Final = """
SELECT type, data FROM ledger.events WHERE account_id = $1 AND recorded_at <= $2 ORDER BY version
"""
_HASHES: Final = """
SELECT account_id, hash FROM unnest($1::text[], $2::bigint[]) AS wanted (account_id, version)
JOIN ledger.events USING (account_id, version)
"""

_IS_GUARDED: Final = """
SELECT EXISTS (
    SELECT FROM pg_trigger WHERE tgrelid = 'ledger.events'::regclass AND tgname = 'history_never_changes'
    AND tgenabled = 'A'
)
"""


class StoredRow(NamedTuple):
    """One row of the log; asyncpg's records have the same fields in the same order."""

    position: int
    account_id: str
    version: int
    id: UUID
    type: str
    recorded_at: datetime
    data: bytes
    hash: bytes


class Share(NamedTuple):
    """One of `of` parts of all accounts."""

    of: int = 1
    number: int = 0


async def connect(database_url: str) -> asyncpg.Connection:
    """A connection for long reads."""
    return await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_SECONDS, server_settings=CONNECTION_SETTINGS)


async def stream(
    connection: asyncpg.Connection, query: str, *arguments: object, size: int = CHUNK_EVENTS
) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """Chunks of a query's rows through a server-side cursor; the caller has the transaction."""
    cursor = await connection.cursor(query, *arguments, timeout=STATEMENT_TIMEOUT_SECONDS)
    while rows := await cursor.fetch(size, timeout=STATEMENT_TIMEOUT_SECONDS):
        yield rows


def rows_of_share(connection: asyncpg.Connection, share: Share) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """Whole rows, for checking them."""
    return stream(connection, _ROWS_OF_SHARE, *share)


def folds_of_share(connection: asyncpg.Connection, share: Share) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """Only what a fold needs: (position, account_id, version, type, data)."""
    return stream(connection, _FOLDS_OF_SHARE, *share)


def rows_between(
    connection: asyncpg.Connection, first: int, last: int, account_id: str | None = None, *, size: int = 500
) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """Positions `first` to `last`, both included, of all accounts or of one."""
    if account_id is None:
        return stream(connection, _ROWS_BETWEEN, first, last, size=size)
    return stream(connection, _ROWS_OF_ACCOUNT_BETWEEN, first, last, account_id, size=size)


def rows_of_account(
    connection: asyncpg.Connection, account_id: str, after_version: int = 0
) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """One account's rows in version order, which is their position order."""
    return stream(connection, _ROWS_OF_ACCOUNT, account_id, after_version, size=1_000)


def facts_until(
    connection: asyncpg.Connection, account_id: str, moment: datetime
) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """(type, data) of one account's events recorded up to a moment; an account's time never runs backwards."""
    return stream(connection, _FACTS_UNTIL, account_id, moment, size=1_000)


async def load_hashes(
    connection: asyncpg.Connection, account_ids: Sequence[str], versions: Sequence[int]
) -> dict[str, bytes]:
    """The chain's hash at one version of each account."""
    rows = await connection.fetch(_HASHES, account_ids, versions, timeout=STATEMENT_TIMEOUT_SECONDS)
    return {row[0]: row[1] for row in rows}


async def is_history_guarded(connection: asyncpg.Connection) -> bool:
    """Whether the trigger that refuses every change of an event stands, also against the owner."""
    guarded: bool = await connection.fetchval(_IS_GUARDED, timeout=STATEMENT_TIMEOUT_SECONDS)
    return guarded
