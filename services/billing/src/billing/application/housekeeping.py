"""What runs beside the work: gauges of what waits, and what is let go of once its time is over."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final

import structlog
from chassis.postgres import DATABASE_ERRORS
from sqlalchemy.ext.asyncio import AsyncEngine

from billing import metrics
from billing.store import outbox, paces, request_keys, webhook_events
from billing.store.backlog import measure_backlog

MEASURE_SECONDS: Final = 5.0
ALERT_SECONDS: Final = 15 * 60.0
"""So old an event that nobody has handled is somebody's money without tokens."""
ALERT_EVERY_SECONDS: Final = 60.0
KEEP_LETTERS: Final = timedelta(days=180)
PRUNE_SECONDS: Final = 3600.0
KEEP_EVENTS: Final = timedelta(days=400)
"""That there was an event; what it said is let go of earlier."""

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


async def keep_pruning(engine: AsyncEngine, *, keep_payloads: timedelta) -> None:
    """Let go of what nobody needs any more, page by page; any number of processes may, each taking what others leave.

    Orders with their lives, payments, refunds, disputes, invoices and uses of codes are books, and stay for good.
    """
    steps: list[Callable[[], Awaitable[int]]] = [
        partial(webhook_events.forget_payloads, engine, keep=keep_payloads),
        partial(webhook_events.delete_old, engine, keep=KEEP_EVENTS),
        partial(webhook_events.delete_old_letters, engine, keep=KEEP_LETTERS),
        partial(outbox.delete_old, engine),
        partial(paces.prune, engine),
        partial(request_keys.delete_old, engine),
    ]
    while True:
        try:
            for step in steps:
                while await step() > 0:
                    pass
        except DATABASE_ERRORS as error:
            log.warning("tables_not_pruned", error=type(error).__name__)
        await asyncio.sleep(PRUNE_SECONDS)
