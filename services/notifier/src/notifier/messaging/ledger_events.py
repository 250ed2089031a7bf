"""What happens to each event of the ledger: the notice that it asks for is queued."""

from collections.abc import Callable
from datetime import timedelta

from chassis.delivery import Delivery
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import metrics
from notifier.domain.notices import notice_of
from notifier.messaging.reading import read_event
from notifier.store.notices import accept_notice


async def hear(
    window: timedelta, on_queued: Callable[[], None], connection: AsyncConnection, delivery: Delivery
) -> None:
    """Queue the event's notice, once and due when the `window` is over; `on_queued` is told of it.

    Raises:
        PoisonError: no event that people are told about.
    """
    event = read_event(delivery.payload)
    if await accept_notice(connection, event.id, notice_of(event), window=window):
        metrics.NOTICES_QUEUED.inc()
        on_queued()
