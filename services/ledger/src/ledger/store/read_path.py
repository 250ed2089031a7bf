"""What others may read of an account without deciding anything."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import asyncpg
from contracts.profiles import Profile

from ledger.domain.account import Account
from ledger.domain.holds import Hold
from ledger.domain.lots import LotRecord
from ledger.store.codec import decode_account, decode_hold, decode_lot
from ledger.store.profiles import store_profiles


async def load_account(
    connection: asyncpg.Pool | asyncpg.Connection, account_id: str
) -> tuple[Account, datetime] | None:
    """The account as its last event left it, and the database's clock; None if it was never opened."""
    row = await connection.fetchrow(
        "SELECT state, clock_timestamp() FROM ledger.accounts WHERE account_id = $1 AND state IS NOT NULL", account_id
    )
    return None if row is None else (decode_account(row[0]), row[1])


async def load_lot(connection: asyncpg.Pool | asyncpg.Connection, account_id: str, lot_id: str) -> LotRecord | None:
    """What was granted and taken back of one lot, spent or not; None where there is no such lot."""
    query = "SELECT record FROM ledger.lots WHERE account_id = $1 AND lot_id = $2"
    record = await connection.fetchval(query, account_id, lot_id)
    return None if record is None else decode_lot(record)


async def load_holds_of(
    connection: asyncpg.Connection, reservation_id: str, account_ids: Sequence[str] | None
) -> dict[str, Hold]:
    """The records of a reservation's id by account, of these accounts or of any: at most 100.

    Of any, the index is skipped through account by account: some 10 µs for each that has holds.
    """
    query = """
        SELECT account_id, record FROM ledger.holds
        WHERE reservation_id = $1 AND ($2::text[] IS NULL OR account_id = ANY ($2)) LIMIT 100
    """
    return {row[0]: decode_hold(row[1]) for row in await connection.fetch(query, reservation_id, account_ids)}


async def load_clock(connection: asyncpg.Connection) -> datetime:
    """What the database's clock says."""
    clock: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return clock


async def is_writable(connection: asyncpg.Pool | asyncpg.Connection) -> bool:
    """Whether a write would be taken: a standby, or a database set read-only, answers reads alone."""
    writable: bool = await connection.fetchval(
        "SELECT NOT pg_is_in_recovery() AND NOT current_setting('default_transaction_read_only')::boolean"
    )
    return writable


async def is_account_open(connection: asyncpg.Pool | asyncpg.Connection, account_id: str) -> bool:
    """Whether the account has events; one whose first command was refused has not."""
    query = "SELECT EXISTS (SELECT FROM ledger.events WHERE account_id = $1)"
    is_open: bool = await connection.fetchval(query, account_id)
    return is_open


async def open_accounts(connection: asyncpg.Connection) -> AsyncIterator[Account | None]:
    """Every account as its last event left it, in the order of their ids; None for one that can't be read."""
    query = "SELECT account_id, state FROM ledger.accounts WHERE account_id > $1 AND version > 0 ORDER BY 1 LIMIT 1000"
    last = ""
    while rows := await connection.fetch(query, last):
        for _, state in rows:
            try:
                account = decode_account(state)
            except Exception:  # whatever stands there; verify says what is wrong with it
                yield None
            else:
                yield account
        last = rows[-1][0]


async def load_profile(connection: asyncpg.Pool | asyncpg.Connection, account_id: str) -> Profile | None:
    """What is known of the person; None if nothing is."""
    row = await connection.fetchrow(
        "SELECT email, name, locale, user_id FROM ledger.profiles WHERE account_id = $1", account_id
    )
    return None if row is None else Profile(email=row[0], name=row[1], locale=row[2], user_id=row[3])


async def store_profile(connection: asyncpg.Pool | asyncpg.Connection, account_id: str, profile: Profile) -> None:
    """Keep what is given; what is None stays as it was. Of who was just forgotten nothing is kept."""
    await store_profiles(connection, {account_id: profile})
