"""Removes holds that are older than anything that may still be said of them."""

import asyncio
from datetime import timedelta
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS

from ledger.application.database_clock import DatabaseClock
from ledger.domain.holds import HOLDS_KEPT
from ledger.metrics import HOLDS_REMOVED
from ledger.store.retention import BATCH, holds_removed_until, remove_holds

log = structlog.get_logger()

LOOK_SECONDS: Final = 60.0
MAX_BATCHES: Final = 20
"""At each look: ten thousand holds a minute, where many have grown old meanwhile."""
STEP: Final = timedelta(hours=1)
"""Of what was made at most goes with one look, so that a clock that is years ahead for a night costs days alone."""


class HoldRetention:
    """Any number of processes may run it: a hold that another one removes is passed over."""

    def __init__(self, pool: asyncpg.Pool, clock: DatabaseClock, hold_ttl: timedelta) -> None:
        self._pool = pool
        self._clock = clock
        self._hold_ttl = hold_ttl

    async def run(self) -> None:
        """Look every minute, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.tidy()
            except DATABASE_ERRORS as error:
                log.warning("hold_retention_failed", error=repr(error))

    async def tidy(self) -> int:
        """Remove what is too old, in bounded batches; nothing while the time is doubted. Returns how many were."""
        now = self._clock.hold_time()
        if now is None or not self._clock.can_end_holds(self._hold_ttl):
            return 0
        until = await holds_removed_until(self._pool)
        if until is None:
            return 0
        before, total = min(now - HOLDS_KEPT, until + STEP), 0
        for _ in range(MAX_BATCHES):
            removed = await remove_holds(self._pool, before)
            total += removed
            if removed < BATCH:
                break
        if total:
            HOLDS_REMOVED.inc(total)
            log.info("old_holds_removed", holds=total)
        return total
