"""Lets go of what nobody needs any more, some rows at a time; any number of processes may."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import asyncpg

BATCH: Final = 500
KEEP_ENDED_LETTERS: Final = timedelta(days=180)
"""That were retried or discarded."""
KEEP_WAITING_LETTERS: Final = timedelta(days=400)
"""As long as what they were about can be said again."""
# By the earlier of both clocks: one that is a year ahead must not have what is owed or known forgotten.
_NOW: Final = "least(now(), $3)"
_DELETE_LETTERS: Final = f"""
WITH old AS (
    SELECT id FROM ledger.dead_letters
    WHERE failed_at < {_NOW} - CASE WHEN retried_at IS NULL AND discarded_at IS NULL THEN $2::interval ELSE $1 END
    ORDER BY id LIMIT {BATCH} FOR UPDATE SKIP LOCKED
)
DELETE FROM ledger.dead_letters USING old WHERE dead_letters.id = old.id
"""  # noqa: S608  constants
# The account's figures stay, and who calls again is known again.
_ERASE_UNHEARD: Final = f"""
WITH unheard AS (
    SELECT account_id FROM ledger.profiles
    WHERE updated_at < {_NOW} - $1::interval
    AND (email, name, locale, user_id, tags) IS DISTINCT FROM (NULL, NULL, NULL, NULL, NULL)
    LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE ledger.profiles SET email = NULL, name = NULL, locale = NULL, user_id = NULL, tags = NULL
FROM unheard WHERE profiles.account_id = unheard.account_id
"""  # noqa: S608  constants


async def prune(pool: asyncpg.Pool, own_time: datetime, *, keep_profiles: timedelta | None) -> Mapping[str, int]:
    """One batch of each; how many rows went, by table. `keep_profiles` counts from when a person was heard of last."""
    gone = {"dead_letters": await pool.execute(_DELETE_LETTERS, KEEP_ENDED_LETTERS, KEEP_WAITING_LETTERS, own_time)}
    if keep_profiles is not None:
        gone["profiles"] = await pool.execute(_ERASE_UNHEARD, keep_profiles, BATCH, own_time)
    return {table: int(done.rpartition(" ")[2]) for table, done in gone.items()}
