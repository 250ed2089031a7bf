"""Runs beside the work: lets go of what is past its time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS

from ledger.metrics import ROWS_PRUNED
from ledger.store.pruning import BATCH, prune

PRUNE_SECONDS: Final = 3_600.0

log = structlog.get_logger()


async def keep_pruning(pool: asyncpg.Pool, *, keep_profiles: timedelta | None) -> None:
    """Every hour, until nothing old is left; until cancelled."""
    while True:
        try:
            gone = {"": BATCH}
            while BATCH in gone.values():
                gone = dict(await prune(pool, datetime.now(UTC), keep_profiles=keep_profiles))
                for table, rows in gone.items():
                    ROWS_PRUNED.labels(table).inc(rows)
        except DATABASE_ERRORS as error:
            log.warning("tables_not_pruned", error=type(error).__name__)
        await asyncio.sleep(PRUNE_SECONDS)
