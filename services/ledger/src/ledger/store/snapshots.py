"""Snapshots: what an account's events up to some version make it, kept so that a fold may begin there.

They are made of the events alone, and whoever begins at one has its hash compared with that event's. One of another
format than this version's is as if it were not there.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from chassis.locks import SNAPSHOTS
from contracts.codec import encode
from msgspec import Struct

from ledger.domain.account import STATE_FORMAT, Account
from ledger.store.codec import decode_account
from ledger.store.log import BEFORE_ALL_VERSIONS, STATEMENT_TIMEOUT_SECONDS, AccountRange

PAGE_EVENTS: Final = 2_000
OUTDATED_AT_ONCE: Final = 500

_TAKE_TURN: Final = "SELECT pg_try_advisory_lock($1)"
_BEGIN: Final = "INSERT INTO ledger.snapshot_progress (format) VALUES ($1) ON CONFLICT DO NOTHING"
_PROGRESS: Final = "SELECT position FROM ledger.snapshot_progress WHERE format = $1"
_MOVE: Final = "UPDATE ledger.snapshot_progress SET position = $2 WHERE format = $1 AND position < $2"
_DUE: Final = """
WITH page AS (SELECT position, account_id, version FROM ledger.events WHERE position > $1 ORDER BY position LIMIT $2)
SELECT max(position), NULL, count(*) FROM page
UNION ALL SELECT position, account_id, version FROM page WHERE version % $3 = 0
"""
_STORE: Final = """
INSERT INTO ledger.snapshots (format, account_id, version, after_version, position, earliest_at, hash, state)
SELECT $1, event.account_id, event.version, $4, event.position, $5, event.hash, $6
FROM ledger.events AS event WHERE event.account_id = $2 AND event.version = $3
ON CONFLICT (format, account_id, version) DO
"""
_REPAIR: Final = """
UPDATE SET after_version = excluded.after_version, position = excluded.position, earliest_at = excluded.earliest_at,
    hash = excluded.hash, state = excluded.state
"""
_BASE: Final = """
SELECT snapshot.version, snapshot.state, snapshot.hash = event.hash AS is_of_the_log
FROM ledger.snapshots AS snapshot LEFT JOIN ledger.events AS event USING (account_id, version)
WHERE snapshot.format = $1 AND snapshot.account_id = $2 AND snapshot.version <= $3
ORDER BY snapshot.version DESC LIMIT 1
"""
# Times of an account may go back once, where a cycle of a wrong clock was corrected: so the earliest of each part.
_PART: Final = """
SELECT after_version, (
    SELECT min(version) FROM ledger.snapshots AS next
    WHERE next.format = part.format AND next.account_id = part.account_id AND next.version > part.version
)
FROM ledger.snapshots AS part WHERE format = $1 AND account_id = $2 AND earliest_at <= $3
ORDER BY version DESC LIMIT 1
"""
_EDGES: Final = """
SELECT coalesce(min(version), 0), coalesce(max(version), 0) FROM ledger.snapshots WHERE format = $1 AND account_id = $2
"""
_LAST_VERSION_UNTIL: Final = """
SELECT version FROM ledger.events WHERE account_id = $1 AND version > $2 AND version <= $3 AND recorded_at <= $4
ORDER BY version DESC LIMIT 1
"""
_ROW: Final = "account_id, version, after_version, position, earliest_at, hash, state"
_OF_ACCOUNTS: Final = f"""
SELECT {_ROW} FROM ledger.snapshots WHERE format = $1
AND (account_id, version) > ($2, $3) AND (account_id, version) <= ($4, $5) ORDER BY account_id, version
"""  # noqa: S608  constants
_BETWEEN: Final = f"SELECT {_ROW} FROM ledger.snapshots WHERE format = $1 AND position BETWEEN $2 AND $3"  # noqa: S608  constants
# A page is a statement, however many snapshots and parts of the log there are.
_IN_THE_LOG: Final = """
SELECT snapshot.account_id, snapshot.version, coalesce(event.position = snapshot.position, false)
FROM (
    SELECT account_id, version, position FROM ledger.snapshots
    WHERE format = $1 AND (account_id, version) > ($2, $3) AND account_id < $4 ORDER BY account_id, version LIMIT $5
) AS snapshot LEFT JOIN LATERAL (
    SELECT position FROM ledger.events WHERE account_id = snapshot.account_id AND version = snapshot.version LIMIT 1
) AS event ON true
ORDER BY snapshot.account_id, snapshot.version
"""
_REMOVE: Final = "DELETE FROM ledger.snapshots WHERE format = $1 AND account_id = $2 AND version = $3"
_FORGET_OUTDATED: Final = "DELETE FROM ledger.snapshot_progress WHERE format < $1"
_REMOVE_OUTDATED: Final = """
DELETE FROM ledger.snapshots WHERE (format, account_id, version) IN (
    SELECT format, account_id, version FROM ledger.snapshots WHERE format < $1 LIMIT $2
)
"""
_MAX_VERSION: Final = 2**63 - 1


class Snapshot(Struct, frozen=True):
    """The account, whose version it is of; `earliest_at` of all its events after `after_version`."""

    account: Account
    after_version: int
    earliest_at: datetime


class SnapshotRow(NamedTuple):
    """A snapshot as it stands; `state` is not read."""

    account_id: str
    version: int
    after_version: int
    position: int
    earliest_at: datetime | None
    hash: bytes
    state: str


class DuePage(NamedTuple):
    """The next events: how many, the last one's position, and the accounts and versions that are to be kept."""

    events: int
    last: int
    due: Sequence[tuple[str, int]]


async def take_turn(connection: asyncpg.Connection) -> bool:
    """Whether this session makes them from now on, until it ends."""
    taken: bool = await connection.fetchval(_TAKE_TURN, SNAPSHOTS)
    return taken


async def load_progress(connection: asyncpg.Connection) -> int:
    """Up to which position all snapshots of this version's format are made."""
    await connection.execute(_BEGIN, STATE_FORMAT)
    position: int | None = await connection.fetchval(_PROGRESS, STATE_FORMAT)
    return position or 0


async def move_progress(connection: asyncpg.Connection, position: int) -> None:
    """Forward alone, whoever else has moved it."""
    await connection.execute(_MOVE, STATE_FORMAT, position)


async def load_due(connection: asyncpg.Connection, after: int, every: int) -> DuePage:
    """A page of the log behind `after`: each account's every so manieth event is due."""
    (last, _, count), *due = await connection.fetch(_DUE, after, PAGE_EVENTS, every)
    return DuePage(count, last or after, [(row[1], row[2]) for row in due])


async def store_snapshot(connection: asyncpg.Connection, snapshot: Snapshot, *, repairing: bool = False) -> None:
    """Beside the event that it is of, whose hash it keeps; what stands there stays, unless `repairing`."""
    account = snapshot.account
    await connection.execute(
        _STORE + (_REPAIR if repairing else "NOTHING"),
        STATE_FORMAT,
        account.account_id,
        account.version,
        snapshot.after_version,
        snapshot.earliest_at,
        encode(account).decode(),
    )


async def load_base(connection: asyncpg.Connection, account_id: str, version: int) -> Account:
    """The account at its last snapshot up to `version`; where there is none to be believed, one that is not open."""
    row = await connection.fetchrow(_BASE, STATE_FORMAT, account_id, version, timeout=STATEMENT_TIMEOUT_SECONDS)
    if row is not None and row["is_of_the_log"]:
        try:
            account = decode_account(row["state"])
        except Exception:  # whatever stands there: verify says what is wrong with it
            account = Account(account_id=account_id)
        if (account.account_id, account.version) == (account_id, row["version"]):
            return account
    return Account(account_id=account_id)


async def last_version_until(connection: asyncpg.Connection, account_id: str, moment: datetime) -> int:
    """The version of the account's last event that was recorded by a moment; 0 where there is none.

    Those before it belong to it whatever their times: a cycle that was corrected stands behind ones of a time that has
    not come.
    """
    ((first, last),) = await connection.fetch(_EDGES, STATE_FORMAT, account_id)
    found = await _last_between(connection, account_id, last, _MAX_VERSION, moment)
    if found or not last:
        return found
    parts = await connection.fetch(_PART, STATE_FORMAT, account_id, moment)
    start, end = parts[0] if parts else (0, first)
    found = await _last_between(connection, account_id, start, end or _MAX_VERSION, moment)
    # In any part but the first there is something, unless what is kept is wrong.
    return found or (await _last_between(connection, account_id, 0, start, moment) if start else 0)


async def _last_between(
    connection: asyncpg.Connection, account_id: str, after: int, up_to: int, moment: datetime
) -> int:
    found: int | None = await connection.fetchval(
        _LAST_VERSION_UNTIL, account_id, after, up_to, moment, timeout=STATEMENT_TIMEOUT_SECONDS
    )
    return found or 0


async def snapshots_of_accounts(
    connection: asyncpg.Connection, first: tuple[str, int], last: tuple[str, int]
) -> list[SnapshotRow]:
    """Behind the account and version `first`, up to `last`."""
    return [SnapshotRow(*row) for row in await connection.fetch(_OF_ACCOUNTS, STATE_FORMAT, *first, *last)]


async def snapshots_between(connection: asyncpg.Connection, first: int, last: int) -> list[SnapshotRow]:
    """Of events at positions `first` to `last`, both included."""
    return [SnapshotRow(*row) for row in await connection.fetch(_BETWEEN, STATE_FORMAT, first, last)]


async def stray_snapshots(connection: asyncpg.Connection, accounts: AccountRange) -> AsyncIterator[tuple[str, int]]:
    """Accounts and versions of snapshots that are of no event, or of one that stands elsewhere."""
    after = (accounts.first, BEFORE_ALL_VERSIONS)
    while rows := await connection.fetch(
        _IN_THE_LOG, STATE_FORMAT, *after, accounts.end, PAGE_EVENTS, timeout=STATEMENT_TIMEOUT_SECONDS
    ):
        for account_id, version, is_in_the_log in rows:
            if not is_in_the_log:
                yield account_id, version
        after = rows[-1][0], rows[-1][1]


async def remove_snapshot(connection: asyncpg.Connection, account_id: str, version: int) -> None:
    await connection.execute(_REMOVE, STATE_FORMAT, account_id, version)


async def remove_outdated(connection: asyncpg.Connection) -> bool:
    """A batch of those of earlier formats; whether there may be more.

    A process of such a version, beside this one or after it, begins anew.
    """
    await connection.execute(_FORGET_OUTDATED, STATE_FORMAT)
    status: str = await connection.execute(_REMOVE_OUTDATED, STATE_FORMAT, OUTDATED_AT_ONCE)
    return status == f"DELETE {OUTDATED_AT_ONCE}"
