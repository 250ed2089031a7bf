"""What happens to each event of billing: the notice that it asks for is queued, to be a mail of its own."""

from chassis.delivery import Delivery
from contracts.subjects import NOTIFIER_BILLING_CONSUMER
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.billing_notices import billing_notice_of
from notifier.messaging.queueing import Queue
from notifier.messaging.reading import read_billing_event


async def hear(queue: Queue, connection: AsyncConnection, delivery: Delivery) -> None:
    """Queue the event's notice, once.

    Raises:
        PoisonError: no event of billing that people are told about.
    """
    event = read_billing_event(delivery.payload)
    await queue.accept(connection, NOTIFIER_BILLING_CONSUMER, event.id, billing_notice_of(event))
