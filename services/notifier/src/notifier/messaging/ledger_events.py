"""What happens to each event of the ledger: the notice that it asks for is queued."""

from chassis.delivery import Delivery
from contracts.subjects import NOTIFIER_LEDGER_CONSUMER
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.notices import notice_of
from notifier.messaging.queueing import Queue
from notifier.messaging.reading import read_event


async def hear(queue: Queue, connection: AsyncConnection, delivery: Delivery) -> None:
    """Queue the event's notice, once.

    Raises:
        PoisonError: no event of the ledger that people are told about.
    """
    event = read_event(delivery.payload)
    await queue.accept(connection, NOTIFIER_LEDGER_CONSUMER, event.id, notice_of(event))
