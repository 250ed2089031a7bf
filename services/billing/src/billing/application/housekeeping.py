"""What runs beside the work: gauges of what waits."""

import asyncio
from typing import Final

import structlog
from chassis.postgres import DATABASE_ERRORS
from sqlalchemy.ext.asyncio import AsyncEngine

from billing import metrics
from billing.store.backlog import measure_backlog

MEASURE_SECONDS: Final = 5.0
ALERT_SECONDS: Final = 15 * 60.0
"""So old an event that nobody has handled is somebody's money without tokens."""
ALERT_EVERY_SECONDS: Final = 60.0

log = structlog.get_logger()


async def keep_measuring(engine: AsyncEngine) -> None:
    """Keep the gauges of what waits up to date, and say so where something waits for long."""
    loop = asyncio.get_running_loop()
    told_at = -ALERT_EVERY_SECONDS
    while True:
        try:
            waiting, oldest_seconds = await measure_backlog(engine)
        except DATABASE_ERRORS as error:
            log.warning("backlog_not_measured", error=type(error).__name__)
        else:
            metrics.WEBHOOKS_WAITING.set(waiting)
            metrics.OLDEST_WEBHOOK.set(oldest_seconds)
            if oldest_seconds >= ALERT_SECONDS and loop.time() - told_at >= ALERT_EVERY_SECONDS:
                told_at = loop.time()
                log.error("webhooks_wait_too_long", waiting=waiting, oldest_seconds=round(oldest_seconds))
        await asyncio.sleep(MEASURE_SECONDS)
