"""Hears what billing says of money, and keeps each movement once, whatever comes again, late or out of order."""

from typing import Final, assert_never

from chassis.dead_letters import PoisonError
from chassis.delivery import Delivery
from contracts.envelope import CloudEvent
from contracts.events.billing import (
    CreditsPurchased,
    PlanEnded,
    PlanSubscribed,
    PurchaseRestored,
    PurchaseRevoked,
    TakenBackFor,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.messaging.instructions import HeardEvent, read_heard
from ledger.store.revenue import Movement, MovementKind, note_movement

_KINDS: Final = {
    TakenBackFor.REFUND: MovementKind.REFUNDED,
    TakenBackFor.DISPUTE: MovementKind.DISPUTED,
    TakenBackFor.FRAUD_WARNING: MovementKind.REFUNDED,
}


async def hear(connection: AsyncConnection, delivery: Delivery) -> None:
    """Keep what the message says; where no money moved, nothing.

    Raises:
        PoisonError: no event of billing about money.
    """
    movement = movement_of(read_heard(delivery.subject, delivery.payload))
    if movement is not None:
        await note_movement(connection, movement)


def movement_of(event: CloudEvent[HeardEvent]) -> Movement | None:
    """What an event moved; None where it was nothing: a code, a courtesy, tokens that a warning of fraud took.

    An order is paid once, and has revisions after that. A subscription's period is paid once, whatever else is said of
    it: a higher plan within it is told with what the period cost.

    Raises:
        PoisonError: it has no time that could be.
    """
    if event.time.tzinfo is None or not 2000 <= event.time.year < 3000:
        raise PoisonError("time: without a zone, or absurd")
    said = event.data
    match said:
        case CreditsPurchased():
            key, kind, amount_minor = f"order:{said.order_id}", MovementKind.PAID, said.amount_minor
        case PurchaseRevoked():
            key, kind, amount_minor = f"order:{said.order_id}:{said.revision}", _KINDS[said.cause], -said.amount_minor
        case PurchaseRestored():
            key, kind, amount_minor = f"order:{said.order_id}:{said.revision}", _KINDS[said.cause], said.amount_minor
        case PlanSubscribed():
            key = f"plan:{said.subscription_id}:{said.period_starts_at.timestamp():.0f}"
            kind, amount_minor = MovementKind.PAID, said.amount_minor
        case PlanEnded():
            raise PoisonError("an event that moves no money")
        case _:
            assert_never(said)
    if not amount_minor:
        return None
    return Movement(
        key=key,
        account_id=event.subject,
        order_id=said.order_id,
        kind=kind,
        amount_minor=amount_minor,
        currency=said.currency,
        moved_at=event.time,
    )
