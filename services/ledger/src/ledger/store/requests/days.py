"""The days of the request log: partitions that are made ahead, and dropped when they have been kept long enough."""

from datetime import date, timedelta
from typing import Final

import asyncpg
from msgspec import Struct

AHEAD: Final = timedelta(days=7)
"""For so long all goes on where nobody makes days; a gateway's clock may be ahead by it, too."""
BEHIND: Final = timedelta(days=7)
"""As old as a line can be that still stands in its stream."""
LOG: Final = "log"
BODIES: Final = "bodies"

_TODAY: Final = "SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date"
_DAYS: Final = "SELECT day FROM requests.days WHERE parent = $1"
_MAKE: Final = "SELECT requests.make_day($1, $2)"
_DROP: Final = "SELECT requests.drop_day($1, $2)"
_DROP_REFUSALS: Final = """
DELETE FROM requests.refusals WHERE (account_id, hour, code) IN (
    SELECT account_id, hour, code FROM requests.refusals
    WHERE hour < $1::timestamp AT TIME ZONE 'UTC' ORDER BY hour LIMIT 10000 FOR UPDATE SKIP LOCKED
)
"""
_DROP_FORGOTTEN: Final = "DELETE FROM requests.forgotten WHERE at < $1::timestamp AT TIME ZONE 'UTC'"

type Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


class Retention(Struct, frozen=True, kw_only=True):
    """For how many days what is kept, beside the day that it is of."""

    log_days: int
    body_days: int
    refusal_days: int


async def load_today(connection: Connection) -> date:
    """The day that it is for the database, in UTC."""
    today: date = await connection.fetchval(_TODAY)
    return today


async def make_days(connection: Connection, retention: Retention, today: date) -> int:
    """Make all that lines may be of from now on; those that are there cost nothing. Returns how many were made.

    Readers and writers are not kept waiting; who makes the same day at the same time is waited for.
    """
    made = 0
    for parent, days in ((LOG, retention.log_days), (BODIES, retention.body_days)):
        there = await _days_of(connection, parent)
        day = today - min(timedelta(days=days), BEHIND)
        while day <= today + AHEAD:
            if day not in there:
                made += await connection.fetchval(_MAKE, parent, day)
            day += timedelta(days=1)
    return made


async def make_past_days(connection: Connection, first: date, last: date) -> None:
    """Make the days of a history that was not told as it went, each in a transaction of its own."""
    there = await _days_of(connection, LOG)
    for day in (first + timedelta(days=number) for number in range((last - first).days + 1)):
        if day not in there:
            await connection.execute(_MAKE, LOG, day)


async def drop_days(connection: Connection, retention: Retention, today: date) -> int:
    """Drop what was kept long enough, each day in a transaction of its own, and of counts some ten thousand.

    Returns how many days were dropped.

    Raises:
        asyncpg.LockNotAvailableError: somebody reads at length; what is left is dropped the next time.
    """
    dropped = 0
    for parent, days in ((LOG, retention.log_days), (BODIES, retention.body_days)):
        first = today - timedelta(days=days)
        for day in sorted(await _days_of(connection, parent)):
            if day < first:
                dropped += await connection.fetchval(_DROP, parent, day)
    await connection.execute(_DROP_REFUSALS, today - timedelta(days=retention.refusal_days))
    # Nothing that old can still come.
    await connection.execute(_DROP_FORGOTTEN, today - timedelta(days=retention.log_days) - BEHIND)
    return dropped


async def _days_of(connection: Connection, parent: str) -> set[date]:
    return {row[0] for row in await connection.fetch(_DAYS, parent)}
