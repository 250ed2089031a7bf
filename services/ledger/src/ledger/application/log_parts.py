"""Has the next parts of the log made long before its newest event comes there."""

import asyncio
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS

from ledger.store.partitions import has_gone_beyond, make_next_part

log = structlog.get_logger()

LOOK_SECONDS: Final = 60.0
"""At twenty thousand events a second, a minute fills an eighth of one of the two parts that are ahead."""


class LogParts:
    """Any number of processes may run it: the database makes one part of what they ask for at once."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._failed: str | None = None

    async def check(self) -> str | None:
        """A note for readiness: why the log may soon be without a part for what comes."""
        return self._failed

    async def run(self) -> None:
        """Look at once and every minute, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Make a part where one is needed, and say so where events have gone beyond all of them."""
        try:
            if (made := await make_next_part(self._pool)) is not None:
                log.info("log_part_made", part=made)
            beyond = await has_gone_beyond(self._pool)
        except DATABASE_ERRORS as error:
            log.warning("log_part_not_made", error=repr(error))
            self._failed = f"no part of the log could be made: {error!r}"[:200]
            return
        self._failed = "events stand beyond all parts of the log, in ledger.events_beyond" if beyond else None
