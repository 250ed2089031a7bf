"""What leaves the tables by its age: holds whose calls are long over."""

from datetime import datetime
from typing import Final

import asyncpg

from ledger.store.log import EPOCH

BATCH: Final = 500
STATEMENT_TIMEOUT_SECONDS: Final = 10.0

# What is removed and up to when are one statement. A hold that somebody is just deciding on is passed over: its row is
# locked for a moment.
REMOVE_HOLDS: Final = """
WITH told AS (
    INSERT INTO ledger.retention (kind, removed_before) VALUES ('holds', $1) ON CONFLICT (kind)
    DO UPDATE SET removed_before = greatest(retention.removed_before, excluded.removed_before)
), old AS (
    SELECT account_id, reservation_id FROM ledger.holds WHERE reserved_at < $1 AND state <> 'open'
    ORDER BY reserved_at LIMIT $2 FOR UPDATE SKIP LOCKED
), removed AS (
    DELETE FROM ledger.holds AS hold USING old
    WHERE hold.account_id = old.account_id AND hold.reservation_id = old.reservation_id RETURNING 1
)
SELECT count(*) FROM removed
"""
_REMOVED_UNTIL: Final = """
SELECT coalesce(
    (SELECT removed_before FROM ledger.retention WHERE kind = 'holds'),
    (SELECT reserved_at FROM ledger.holds WHERE state <> 'open' ORDER BY reserved_at LIMIT 1)
)
"""
_REMOVED_BEFORE: Final = "SELECT removed_before FROM ledger.retention WHERE kind = 'holds'"


async def holds_removed_until(pool: asyncpg.Pool) -> datetime | None:
    """Up to when holds were removed; at first, when the oldest was made that has ended, None where none has."""
    until: datetime | None = await pool.fetchval(_REMOVED_UNTIL, timeout=STATEMENT_TIMEOUT_SECONDS)
    return until


async def remove_holds(pool: asyncpg.Pool, before: datetime) -> int:
    """A batch of holds that were made before a time and are not open; returns how many."""
    removed: int = await pool.fetchval(REMOVE_HOLDS, before, BATCH, timeout=STATEMENT_TIMEOUT_SECONDS)
    return removed


async def holds_kept_since(connection: asyncpg.Connection) -> datetime:
    """All holds that were made from then on have their rows; those of before may have left."""
    since: datetime | None = await connection.fetchval(_REMOVED_BEFORE, timeout=STATEMENT_TIMEOUT_SECONDS)
    return since or EPOCH
