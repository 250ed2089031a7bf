"""What happens to each event of the ledger: the notice that it asks for is queued."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from chassis.consumer import Delivery
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import metrics
from notifier.domain.notices import notice_of
from notifier.messaging.reading import read_event
from notifier.store.notices import accept_notice


@dataclass(frozen=True, kw_only=True)
class LedgerEvents:
    """Notices are due when the `window` is over; `on_queued` is told of each."""

    engine: AsyncEngine
    window: timedelta
    on_queued: Callable[[], None]

    async def hear(self, delivery: Delivery) -> None:
        """Queue the notice, once.

        Raises:
            PoisonError: no event that people are told about.
        """
        event = read_event(delivery.payload)
        if await accept_notice(self.engine, event.id, notice_of(event), window=self.window):
            metrics.NOTICES_QUEUED.inc()
            self.on_queued()
