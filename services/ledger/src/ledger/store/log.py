"""Reads the event log page by page: no page needs the snapshot of another, for what is stored never changes."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from contracts.events.registry import LedgerEvent

from ledger.store.codec import TYPES

PAGE_EVENTS: Final = 5_000
PROBED_EVENTS: Final = 10
"""Times are looked at in so many events, of which one may be out of order."""
STATEMENT_TIMEOUT_SECONDS: Final = 60.0
"""For one page, not for the whole log."""
CONNECT_TIMEOUT_SECONDS: Final = 10.0
CONNECTION_SETTINGS: Final = {
    "application_name": "ledger-log",
    # Everything is read along an index, however large it is; sorting it would fill the disk before the first row.
    "enable_sort": "off",
    "enable_hashagg": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "cursor_tuple_fraction": "1.0",
    "jit": "off",
    # A page is not worth a parallel worker; planning for them only makes it slower.
    "max_parallel_workers_per_gather": "0",
    # Whoever is frozen in the middle of a page keeps vacuum from its work for this long.
    "idle_in_transaction_session_timeout": "60s",
}
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Where Postgres counts microseconds from."""
AFTER_ALL_ACCOUNTS: Final = "\U0010ffff"
BEFORE_ALL_VERSIONS: Final = -(2**63)
MAX_POSITION: Final = 2**63 - 1

_ROW: Final = "position, account_id, version, id, type, recorded_at, data, hash"
_ROWS_OF_ACCOUNTS: Final = f"""
SELECT {_ROW} FROM ledger.events
WHERE (account_id, version) > ($1, $2) AND account_id < $3 ORDER BY account_id, version LIMIT $4
"""  # noqa: S608  constants
_FOLDS_OF_ACCOUNTS: Final = _ROWS_OF_ACCOUNTS.replace(_ROW, "position, account_id, version, type, data, hash")
_FOLDS_BETWEEN: Final = """
SELECT position, account_id, version, type, data, hash FROM ledger.events
WHERE position BETWEEN $1 AND $2 AND account_id >= $3 AND account_id < $4 ORDER BY position LIMIT $5
"""
_ROWS_BETWEEN: Final = f"""
SELECT {_ROW} FROM ledger.events WHERE position BETWEEN $1 AND $2 ORDER BY position LIMIT $3
"""  # noqa: S608  constants
EVENTS_AFTER: Final = """
SELECT position, account_id, id, type, data FROM ledger.events WHERE position > $1 ORDER BY position LIMIT $2
"""
_SIZES_BEFORE: Final = """
SELECT position, octet_length(data) FROM ledger.events WHERE position BETWEEN $1 AND $2 ORDER BY position DESC LIMIT $3
"""
_ROWS_OF_ACCOUNT: Final = f"""
SELECT {_ROW} FROM ledger.events
WHERE account_id = $1 AND version > $2 AND position BETWEEN $3 AND $4 ORDER BY version LIMIT $5
"""  # noqa: S608  constants
_LAST_OF_TYPES: Final = """
SELECT type FROM ledger.events WHERE account_id = $1 AND type = ANY ($2::text[]) ORDER BY version DESC LIMIT 1
"""
_OPENED_AT: Final = "SELECT recorded_at FROM ledger.events WHERE account_id = $1 AND version = 1"
_PROBE: Final = """
SELECT min(recorded_at), min(position) FROM (
    SELECT position, recorded_at FROM ledger.events WHERE position >= $1 ORDER BY position LIMIT $2
) AS probed
"""
_FIRST: Final = "SELECT recorded_at, version FROM ledger.events ORDER BY position LIMIT 1"
_NEWEST: Final = "SELECT coalesce(max(position), 0) FROM ledger.events"
# Evenly over the log, so that ranges between them have about as many events each.
_SAMPLE: Final = """
SELECT sample.account_id FROM generate_series(1, $1::bigint) AS step CROSS JOIN LATERAL (
    SELECT account_id FROM ledger.events WHERE position >= step * $2::bigint / $1::bigint ORDER BY position LIMIT 1
) AS sample ORDER BY sample.account_id
"""
_IS_GUARDED: Final = """
SELECT NOT EXISTS (
    SELECT FROM pg_partition_tree('ledger.events') AS part WHERE NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = part.relid AND tgname = 'history_never_changes' AND tgenabled = 'A'
    )
)
"""


class StoredRow(NamedTuple):
    """One row of the log; asyncpg's records have the same fields in the same order."""

    position: int
    account_id: str
    version: int
    id: UUID
    type: str
    recorded_at: datetime | None
    data: bytes
    hash: bytes


class FoldRow(NamedTuple):
    """What a fold needs of a row; asyncpg's records have the same fields in the same order."""

    position: int
    account_id: str
    version: int
    type: str
    data: bytes
    hash: bytes


class AccountRange(NamedTuple):
    """Account ids from `first` up to, but not including, `end`."""

    first: str = ""
    end: str = AFTER_ALL_ACCOUNTS


async def connect(database_url: str) -> asyncpg.Connection:
    """A connection for reading much; times that Python has no word for are None."""
    connection = await asyncpg.connect(
        database_url,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=STATEMENT_TIMEOUT_SECONDS,
        server_settings=CONNECTION_SETTINGS,
    )
    await read_any_time(connection)
    return connection


async def read_any_time(connection: asyncpg.Connection) -> None:
    """Read times that Python has no word for (`infinity`, the year 20000) as None: they are named, and end nothing."""
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_encoded_time, decoder=_decoded_time, format="tuple"
    )


async def newest_position(connection: asyncpg.Connection) -> int:
    """All events up to it are committed: position order is commit order."""
    newest: int = await connection.fetchval(_NEWEST, timeout=STATEMENT_TIMEOUT_SECONDS)
    return newest


async def position_before(connection: asyncpg.Connection, moment: datetime, newest: int) -> int:
    """A position up to `newest` with next to nothing of that moment or later at or before it: times are about in order.

    Found by halves, since no index has times.
    """
    low, high = 0, newest
    while low < high:
        middle = (low + high + 1) // 2
        ((recorded_at, position),) = await connection.fetch(_PROBE, middle, PROBED_EVENTS)
        if recorded_at is None or recorded_at >= moment:
            high = middle - 1
        else:
            low = min(max(middle, position), high)
    return low


async def leaving_time(connection: asyncpg.Connection) -> datetime | None:
    """Up to when events have left the database; None where none have, as far as the first that is there tells."""
    rows = await connection.fetch(_FIRST)
    # A log begins with an account's first event, and what is left of one hardly ever does.
    left_at: datetime | None = rows[0][0] if rows and rows[0][1] > 1 else None
    return left_at


async def sample_accounts(connection: asyncpg.Connection, number: int, newest: int) -> list[str]:
    """Accounts of evenly spaced events, in the order of their ids; one that has many events comes often."""
    rows = await connection.fetch(_SAMPLE, number, newest)
    return sorted(row[0] for row in rows)


async def rows_of_accounts(
    connection: asyncpg.Connection, accounts: AccountRange, after_version: int = BEFORE_ALL_VERSIONS
) -> Sequence[asyncpg.Record]:
    """A page of whole rows, account by account and version by version, after that version of the first account."""
    return await connection.fetch(_ROWS_OF_ACCOUNTS, accounts.first, after_version, accounts.end, PAGE_EVENTS)


async def folds_of_accounts(
    connection: asyncpg.Connection, accounts: AccountRange, after_version: int = BEFORE_ALL_VERSIONS
) -> Sequence[asyncpg.Record]:
    """As `rows_of_accounts`, but only what a fold needs."""
    return await connection.fetch(_FOLDS_OF_ACCOUNTS, accounts.first, after_version, accounts.end, PAGE_EVENTS)


async def folds_between(
    connection: asyncpg.Connection, first: int, last: int, accounts: AccountRange
) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """Positions `first` to `last`, both included, of a range of accounts: only what a fold needs."""
    while rows := await connection.fetch(_FOLDS_BETWEEN, first, last, *accounts, PAGE_EVENTS):
        yield rows
        first = rows[-1][0] + 1


async def rows_between(
    connection: asyncpg.Connection, first: int, last: int, *, size: int = 500
) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """Positions `first` to `last`, both included."""
    while rows := await connection.fetch(_ROWS_BETWEEN, first, last, size, timeout=STATEMENT_TIMEOUT_SECONDS):
        yield rows
        first = rows[-1][0] + 1


async def events_after(connection: asyncpg.Connection, position: int, limit: int) -> Sequence[asyncpg.Record]:
    """The next events as they are published: (position, account_id, id, type, data)."""
    return await connection.fetch(EVENTS_AFTER, position, limit)


async def sizes_before(
    connection: asyncpg.Connection, first: int, last: int
) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """(position, bytes) of the stored events from `last` down to `first`, both included."""
    while rows := await connection.fetch(_SIZES_BEFORE, first, last, PAGE_EVENTS, timeout=STATEMENT_TIMEOUT_SECONDS):
        yield rows
        last = rows[-1][0] - 1


async def rows_of_account(
    connection: asyncpg.Connection,
    account_id: str,
    after_version: int = 0,
    *,
    first: int = 0,
    last: int = MAX_POSITION,
    size: int = 1_000,
) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """One account's rows in version order, which is their position order; those of some positions, or all."""
    while rows := await connection.fetch(
        _ROWS_OF_ACCOUNT, account_id, after_version, first, last, size, timeout=STATEMENT_TIMEOUT_SECONDS
    ):
        yield rows
        after_version = rows[-1][2]


async def opening_time_of(connection: asyncpg.Connection, account_id: str) -> datetime | None:
    """When the account was opened; None if it never was."""
    opened_at: datetime | None = await connection.fetchval(_OPENED_AT, account_id, timeout=STATEMENT_TIMEOUT_SECONDS)
    return opened_at


async def last_type_of(
    connection: asyncpg.Connection, account_id: str, types: Sequence[type[LedgerEvent]]
) -> type[LedgerEvent] | None:
    """Which of these events the account's last one is; None if it has none of them."""
    by_name = {TYPES[each]: each for each in types}
    name = await connection.fetchval(_LAST_OF_TYPES, account_id, list(by_name), timeout=STATEMENT_TIMEOUT_SECONDS)
    return None if name is None else by_name[name]


async def is_history_guarded(connection: asyncpg.Connection) -> bool:
    """Whether the trigger that refuses every change of an event stands on all parts, also against the owner."""
    guarded: bool = await connection.fetchval(_IS_GUARDED)
    return guarded


def _decoded_time(microseconds: tuple[int]) -> datetime | None:
    try:
        return EPOCH + timedelta(microseconds=microseconds[0])
    except OverflowError:
        return None


def _encoded_time(moment: datetime) -> tuple[int]:
    return ((moment - EPOCH) // timedelta(microseconds=1),)
