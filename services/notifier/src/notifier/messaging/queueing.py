"""Puts notices where they wait for their time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import metrics
from notifier.domain.composing import AnyNotice
from notifier.store.notices import accept_notice


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Notices are due when the `window` is over; `on_queued` is told of each that is new."""

    window: timedelta
    on_queued: Callable[[], None] = lambda: None

    async def accept(self, connection: AsyncConnection, consumer: str, event_id: str, notice: AnyNotice | None) -> None:
        """Note the event as heard and queue its notice, if it has one, once however often it comes."""
        if await accept_notice(connection, consumer, event_id, notice, window=self.window):
            metrics.NOTICES_QUEUED.inc()
            self.on_queued()
