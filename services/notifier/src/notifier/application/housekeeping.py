"""What runs beside the work: gauges of what waits, and the deletion of old rows."""

import asyncio
from typing import Final

import structlog
from chassis.postgres import DATABASE_ERRORS
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import metrics
from notifier.store.backlog import measure_backlog
from notifier.store.retention import BATCH, RULES, prune_batch

MEASURE_SECONDS: Final = 5.0
PRUNE_SECONDS: Final = 3600.0

log = structlog.get_logger()


async def keep_measuring(engine: AsyncEngine) -> None:
    """Keep the gauges of what waits up to date."""
    while True:
        try:
            pending, oldest_seconds = await measure_backlog(engine)
            metrics.MAILS_PENDING.set(pending)
            metrics.OLDEST_PENDING.set(oldest_seconds)
        except DATABASE_ERRORS as error:
            log.warning("backlog_not_measured", error=type(error).__name__)
        await asyncio.sleep(MEASURE_SECONDS)


async def keep_pruning(engine: AsyncEngine) -> None:
    """Delete what nobody needs any more."""
    while True:
        try:
            for rule in RULES:
                deleted = BATCH
                while deleted == BATCH:
                    deleted = await prune_batch(engine, rule)
                    metrics.ROWS_PRUNED.labels(rule.table.name).inc(deleted)
        except DATABASE_ERRORS as error:
            log.warning("tables_not_pruned", error=type(error).__name__)
        await asyncio.sleep(PRUNE_SECONDS)
