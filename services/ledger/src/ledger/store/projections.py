"""Reads and repairs the rows that stand for what the events say: accounts and holds."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from contracts.codec import encode

from ledger.domain.account import Account
from ledger.domain.holds import Hold
from ledger.domain.lots import LotRecord
from ledger.store.log import CONNECT_TIMEOUT_SECONDS, CONNECTION_SETTINGS, AccountRange, read_any_time

REPAIR_TIMEOUT_SECONDS: Final = 30.0
REPAIR_SETTINGS: Final = CONNECTION_SETTINGS | {
    "application_name": "ledger-repair",
    # A repair holds one account's row over a few round trips: should it be frozen meanwhile, the account is free again
    # after this long. And it waits no longer than that for others.
    "lock_timeout": "1s",
    "transaction_timeout": "1s",
}

# Rows that were made for accounts whose first command was refused say nothing.
_ACCOUNTS: Final = """
SELECT account_id, version, head, state, due_at FROM ledger.accounts
WHERE account_id >= $1 AND account_id < $2
AND NOT (version = 0 AND state IS NULL AND head = decode(repeat('00', 32), 'hex')) ORDER BY account_id
"""
_AT_MOST: Final = "SELECT count(*) FROM (SELECT FROM ledger.accounts LIMIT $1)"
_ACCOUNT: Final = "SELECT account_id, version, head, state, due_at FROM ledger.accounts WHERE account_id = $1"
_LOCK_ACCOUNT: Final = f"{_ACCOUNT} FOR UPDATE"
_INSERT_ACCOUNT: Final = "INSERT INTO ledger.accounts (account_id) VALUES ($1) ON CONFLICT DO NOTHING"
_REPAIR_ACCOUNT: Final = """
UPDATE ledger.accounts SET version = $2, head = $3, state = $4, due_at = $5 WHERE account_id = $1
"""
# The record begins with what the columns repeat, so a column that was changed shows without parsing it.
_HOLD_SUMS: Final = """
SELECT account_id, count(*),
    sum(crc32(json_send(record) || timestamptz_send(reserved_at) || coalesce(timestamptz_send(expires_at), ''))),
    count(*) FILTER (WHERE NOT starts_with(
        record::text, '{"reservation_id":"' || reservation_id || '","state":"' || state || '","reserved_at":"'
    ))
FROM ledger.holds WHERE account_id >= $1 AND account_id < $2 AND (reserved_at >= $3 OR state = 'open')
GROUP BY account_id ORDER BY account_id
"""
_HOLDS: Final = """
SELECT reservation_id, state, reserved_at, expires_at, record FROM ledger.holds
WHERE account_id = $1 AND reservation_id = ANY ($2::text[])
"""
_HOLDS_OF_ACCOUNT: Final = "SELECT reservation_id FROM ledger.holds WHERE account_id = $1 ORDER BY reservation_id"
_REPAIR_HOLDS: Final = """
INSERT INTO ledger.holds (account_id, reservation_id, state, reserved_at, expires_at, record)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::json[])
ON CONFLICT (account_id, reservation_id) DO UPDATE
SET state = excluded.state, reserved_at = excluded.reserved_at, expires_at = excluded.expires_at,
    record = excluded.record
"""


_LOTS: Final = """
SELECT account_id, lot_id, record FROM ledger.lots WHERE account_id >= $1 AND account_id < $2
ORDER BY account_id, lot_id
"""
_LOTS_OF_ACCOUNT: Final = "SELECT lot_id, record FROM ledger.lots WHERE account_id = $1"
_REPAIR_LOTS: Final = """
INSERT INTO ledger.lots (account_id, lot_id, record) SELECT $1, * FROM unnest($2::text[], $3::json[])
ON CONFLICT (account_id, lot_id) DO UPDATE SET record = excluded.record
"""


class AccountRow(NamedTuple):
    """A row of `ledger.accounts`, as it stands."""

    account_id: str
    version: int
    head: bytes
    state: str | None
    due_at: datetime | None


class HoldRow(NamedTuple):
    """A row of `ledger.holds` beside its account, as it stands."""

    reservation_id: str
    state: str
    reserved_at: datetime | None
    expires_at: datetime | None
    record: str


class HoldSums(NamedTuple):
    """What the holds of an account sum up to: equal for equal sets but for a chance of one in 2^32.

    `holds` counts them, `records` sums the CRC-32 of each one's record and times, and `odd` counts rows whose columns
    do not repeat what their record begins with.
    """

    holds: int = 0
    records: int = 0
    odd: int = 0


async def connect_for_repair(database_url: str) -> asyncpg.Connection:
    """A connection that locks an account's row for a second at most, whatever becomes of this process."""
    connection = await asyncpg.connect(
        database_url,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=REPAIR_TIMEOUT_SECONDS,
        server_settings=REPAIR_SETTINGS,
    )
    await read_any_time(connection)
    return connection


async def has_more_accounts(connection: asyncpg.Connection, than: int) -> bool:
    """Whether there are more accounts than that, without counting all."""
    found: int = await connection.fetchval(_AT_MOST, than + 1)
    return found > than


async def account_rows(connection: asyncpg.Connection, accounts: AccountRange) -> AsyncIterator[AccountRow]:
    """The rows of a range in the order of their ids; the caller has the transaction."""
    async for row in _stream(connection, _ACCOUNTS, *accounts):
        yield AccountRow(*row)


async def hold_sums(
    connection: asyncpg.Connection, accounts: AccountRange, since: datetime
) -> AsyncIterator[tuple[str, HoldSums]]:
    """The sums of every account of a range that has holds, added up by the database; the caller has the transaction.

    Of holds that were made since then, or are open.
    """
    async for account_id, count, records, odd in _stream(connection, _HOLD_SUMS, *accounts, since):
        yield account_id, HoldSums(count, int(records), odd)


async def lot_records(
    connection: asyncpg.Connection, accounts: AccountRange
) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """The records of every account of a range that has lots, by their ids; the caller has the transaction."""
    current, records = "", dict[str, str]()
    async for account_id, lot_id, record in _stream(connection, _LOTS, *accounts):
        if account_id != current and records:
            yield current, records
            records = {}
        current = account_id
        records[lot_id] = record
    if records:
        yield current, records


async def load_lot_records(connection: asyncpg.Connection, account_id: str) -> dict[str, str]:
    rows = await connection.fetch(_LOTS_OF_ACCOUNT, account_id)
    return {row[0]: row[1] for row in rows}


async def repair_lots(connection: asyncpg.Connection, account_id: str, lots: Sequence[LotRecord]) -> None:
    """Write folded records over those of a locked account, or beside them."""
    await connection.execute(
        _REPAIR_LOTS, account_id, [lot.lot_id for lot in lots], [encode(lot).decode() for lot in lots]
    )


async def prefer_scans(connection: asyncpg.Connection) -> None:
    """For the rest of the transaction: what is wanted is most of a table, and few enough to sum up in memory."""
    await connection.execute("SET LOCAL enable_seqscan = on; SET LOCAL enable_hashagg = on; SET LOCAL enable_sort = on")


async def load_account_row(connection: asyncpg.Connection, account_id: str) -> AccountRow | None:
    row = await connection.fetchrow(_ACCOUNT, account_id)
    return None if row is None else AccountRow(*row)


async def load_holds(
    connection: asyncpg.Connection, account_id: str, reservation_ids: Sequence[str]
) -> dict[str, HoldRow]:
    rows = await connection.fetch(_HOLDS, account_id, reservation_ids)
    return {row[0]: HoldRow(*row) for row in rows}


async def hold_ids_of_account(connection: asyncpg.Connection, account_id: str) -> AsyncIterator[str]:
    """Of all its holds; the caller has the transaction."""
    async for row in _stream(connection, _HOLDS_OF_ACCOUNT, account_id):
        yield row[0]


async def lock_account(connection: asyncpg.Connection, account_id: str) -> AccountRow:
    """The account's row, which no other process changes until the transaction ends; made where it is missing."""
    await connection.execute(_INSERT_ACCOUNT, account_id)
    row = await connection.fetchrow(_LOCK_ACCOUNT, account_id)
    assert row is not None, "nobody deletes accounts"
    return AccountRow(*row)


async def repair_account(connection: asyncpg.Connection, account: Account, head: bytes) -> None:
    """Write the folded state over the locked row."""
    await connection.execute(
        _REPAIR_ACCOUNT, account.account_id, account.version, head, encode(account).decode(), account.due_at
    )


async def repair_holds(connection: asyncpg.Connection, account_id: str, holds: Sequence[Hold]) -> None:
    """Write folded records over those of a locked account, or beside them."""
    await connection.execute(
        _REPAIR_HOLDS,
        account_id,
        [hold.reservation_id for hold in holds],
        [hold.state.value for hold in holds],
        [hold.reserved_at for hold in holds],
        [hold.expires_at for hold in holds],
        [encode(hold).decode() for hold in holds],
    )


async def _stream(connection: asyncpg.Connection, query: str, *arguments: object) -> AsyncIterator[asyncpg.Record]:
    """A query's rows through a server-side cursor, so that memory stays flat."""
    cursor = await connection.cursor(query, *arguments)
    while rows := await cursor.fetch(1_000):
        for row in rows:
            yield row
