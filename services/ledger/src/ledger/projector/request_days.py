"""Keeps the days of the request log: those to come are made, those that were kept long enough are dropped."""

import asyncio
from datetime import UTC, date, datetime
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS

from ledger.store.requests.days import Retention, drop_days, load_today, make_days

log = structlog.get_logger()

LOOK_SECONDS: Final = 60.0


class RequestDays:
    """Each process keeps them: who finds a day made or dropped has nothing to do."""

    def __init__(self, pool: asyncpg.Pool, retention: Retention) -> None:
        self._pool = pool
        self._retention = retention

    async def make(self) -> None:
        """Make those that lines may be of from now on; raises what `DATABASE_ERRORS` are."""
        async with self._pool.acquire() as connection:
            await make_days(connection, self._retention, await _today(connection))

    async def run(self) -> None:
        """Look every minute until cancelled."""
        while True:
            try:
                await self.make()
                async with self._pool.acquire() as connection:
                    if dropped := await drop_days(connection, self._retention, await _today(connection)):
                        log.info("request_days_dropped", days=dropped)
            except DATABASE_ERRORS as error:  # whoever reads at length is in the way of one, and has gone the next time
                log.warning("request_days_not_kept", error=repr(error))
            await asyncio.sleep(LOOK_SECONDS)


async def _today(connection: asyncpg.pool.PoolConnectionProxy) -> date:
    """By the earlier of both clocks: one of them that is ahead must not have a year dropped."""
    return min(await load_today(connection), datetime.now(UTC).date())
