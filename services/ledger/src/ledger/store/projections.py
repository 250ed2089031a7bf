"""Reads and repairs the rows that stand for what the events say: accounts and holds."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from ledger.domain.account import Account
from ledger.domain.holds import Hold
from ledger.store.codec import encode
from ledger.store.log import IN_SHARE, STATEMENT_TIMEOUT_SECONDS, Share, stream

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
REPAIR_TIMEOUT_SECONDS: Final = 30.0

_ACCOUNTS_OF_SHARE: Final = f"SELECT account_id, version, head, state, due_at FROM ledger.accounts WHERE {IN_SHARE}"  # noqa: S608
_LOCK_ACCOUNT: Final = """
SELECT account_id, version, head, state, due_at FROM ledger.accounts WHERE account_id = $1 FOR UPDATE
"""
_INSERT_ACCOUNT: Final = "INSERT INTO ledger.accounts (account_id) VALUES ($1) ON CONFLICT DO NOTHING"
_REPAIR_ACCOUNT: Final = """
UPDATE ledger.accounts SET version = $2, head = $3, state = $4, due_at = $5 WHERE account_id = $1
"""
# The record begins with what the columns repeat, so a column that was changed shows without parsing it.
_HOLD_SUMS_OF_SHARE: Final = f"""
SELECT account_id, count(*), sum(crc32(json_send(record))),
    sum(reserved_at - TIMESTAMPTZ '2000-01-01 00:00Z'), sum(expires_at - TIMESTAMPTZ '2000-01-01 00:00Z'),
    count(*) FILTER (WHERE NOT starts_with(
        record::text, '{{"reservation_id":"' || reservation_id || '","state":"' || state || '","reserved_at":"'
    ))
FROM ledger.holds WHERE {IN_SHARE} GROUP BY account_id
"""  # noqa: S608  constants
_HOLDS: Final = """
SELECT reservation_id, state, reserved_at, expires_at, record FROM ledger.holds
WHERE account_id = $1 AND reservation_id = ANY ($2::text[])
"""
_HOLDS_OF_ACCOUNT: Final = "SELECT reservation_id FROM ledger.holds WHERE account_id = $1"
_REPAIR_HOLDS: Final = """
INSERT INTO ledger.holds (account_id, reservation_id, state, reserved_at, expires_at, record)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::json[])
ON CONFLICT (account_id, reservation_id) DO UPDATE
SET state = excluded.state, reserved_at = excluded.reserved_at, expires_at = excluded.expires_at,
    record = excluded.record
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
    reserved_at: datetime
    expires_at: datetime | None
    record: str


class HoldSums(NamedTuple):
    """What the holds of an account sum up to: equal for equal sets but for a chance of one in 2^32.

    `holds` counts them, `records` sums the CRC-32 of the records' text, the times are since the year 2000, and `odd`
    counts rows whose columns do not repeat what their record begins with.
    """

    holds: int = 0
    records: int = 0
    reserved: timedelta = timedelta(0)
    expiring: timedelta = timedelta(0)
    odd: int = 0


async def accounts_of_share(connection: asyncpg.Connection, share: Share) -> AsyncIterator[AccountRow]:
    async for rows in stream(connection, _ACCOUNTS_OF_SHARE, *share, size=1_000):
        for row in rows:
            yield AccountRow(*row)


async def hold_sums_of_share(connection: asyncpg.Connection, share: Share) -> dict[str, HoldSums]:
    """The sums of every account that has holds, added up by the database."""
    sums: dict[str, HoldSums] = {}
    async for rows in stream(connection, _HOLD_SUMS_OF_SHARE, *share, size=1_000):
        for account_id, count, records, reserved, expiring, odd in rows:
            sums[account_id] = HoldSums(count, int(records), reserved, expiring or timedelta(0), odd)
    return sums


async def load_holds(
    connection: asyncpg.Connection, account_id: str, reservation_ids: Sequence[str]
) -> dict[str, HoldRow]:
    rows = await connection.fetch(_HOLDS, account_id, reservation_ids, timeout=STATEMENT_TIMEOUT_SECONDS)
    return {row[0]: HoldRow(*row) for row in rows}


async def hold_ids_of_account(connection: asyncpg.Connection, account_id: str) -> AsyncIterator[str]:
    async for rows in stream(connection, _HOLDS_OF_ACCOUNT, account_id):
        for row in rows:
            yield row[0]


async def lock_account(connection: asyncpg.Connection, account_id: str) -> AccountRow:
    """The account's row, which no other process changes until the transaction ends; made where it is missing."""
    await connection.execute(_INSERT_ACCOUNT, account_id, timeout=REPAIR_TIMEOUT_SECONDS)
    row = await connection.fetchrow(_LOCK_ACCOUNT, account_id, timeout=REPAIR_TIMEOUT_SECONDS)
    assert row is not None, "nobody deletes accounts"
    return AccountRow(*row)


async def repair_account(connection: asyncpg.Connection, account: Account, head: bytes) -> None:
    """Write the folded state over the locked row."""
    await connection.execute(
        _REPAIR_ACCOUNT,
        account.account_id,
        account.version,
        head,
        encode(account).decode(),
        account.due_at,
        timeout=REPAIR_TIMEOUT_SECONDS,
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
        timeout=REPAIR_TIMEOUT_SECONDS,
    )
