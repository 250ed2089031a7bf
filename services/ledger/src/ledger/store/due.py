"""What time makes due, page by page along an index: holds past their end, accounts whose cycle or lot ends."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import asyncpg

STATEMENT_TIMEOUT_SECONDS: Final = 5.0

# Times come as parameters: a volatile clock would be asked for each row, and so for all rows.
DUE_ACCOUNTS: Final = """
SELECT due_at, account_id FROM ledger.accounts
WHERE due_at <= $1 AND (due_at, account_id) > ($2, $3) ORDER BY due_at, account_id LIMIT $4
"""
EXPIRED_HOLDS: Final = """
SELECT expires_at, account_id, reservation_id FROM ledger.holds
WHERE state = 'open' AND expires_at <= $1 AND (expires_at, account_id, reservation_id) > ($2, $3, $4)
ORDER BY expires_at, account_id, reservation_id LIMIT $5
"""
OLDEST_OPEN_HOLD: Final = "SELECT min(expires_at) FROM ledger.holds WHERE state = 'open'"
DATABASE_TIME: Final = """
SELECT clock_timestamp(), (SELECT recorded_at FROM ledger.events ORDER BY position DESC LIMIT 1)
"""
_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)


class DueAccount(NamedTuple):
    due_at: datetime = _BEGINNING
    account_id: str = ""


class DueHold(NamedTuple):
    expires_at: datetime = _BEGINNING
    account_id: str = ""
    reservation_id: str = ""


class DatabaseTime(NamedTuple):
    """The database's clock, the time of the log's last event, and our own clock just before and just after."""

    told: datetime
    last_event_at: datetime | None
    own_times: tuple[datetime, datetime]


async def load_due_accounts(pool: asyncpg.Pool, until: datetime, after: DueAccount, limit: int) -> Sequence[DueAccount]:
    """Accounts that are due at `until`, behind `after`, the longest due first."""
    rows = await pool.fetch(DUE_ACCOUNTS, until, *after, limit, timeout=STATEMENT_TIMEOUT_SECONDS)
    return [DueAccount(*row) for row in rows]


async def load_expired_holds(pool: asyncpg.Pool, until: datetime, after: DueHold, limit: int) -> Sequence[DueHold]:
    """Open holds that end at `until` or before, behind `after`, the oldest first."""
    rows = await pool.fetch(EXPIRED_HOLDS, until, *after, limit, timeout=STATEMENT_TIMEOUT_SECONDS)
    return [DueHold(*row) for row in rows]


async def load_oldest_open_hold(pool: asyncpg.Pool) -> datetime | None:
    """When the open hold ends that ends first; None without one."""
    found: datetime | None = await pool.fetchval(OLDEST_OPEN_HOLD, timeout=STATEMENT_TIMEOUT_SECONDS)
    return found


async def load_database_time(connection: asyncpg.Pool | asyncpg.Connection) -> DatabaseTime:
    """What the database's clock says, with what else tells the time."""
    asked_at = datetime.now(UTC)
    row = await connection.fetchrow(DATABASE_TIME, timeout=STATEMENT_TIMEOUT_SECONDS)
    assert row is not None, "the statement has one row"
    return DatabaseTime(row[0], row[1], (asked_at, datetime.now(UTC)))
