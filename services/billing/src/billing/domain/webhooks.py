"""Stripe's events as we take them in: which of them say that an order may have changed, and how often one is tried."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from billing.domain.clues import Clues

ORDER_EVENTS: Final = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
        "payment_intent.requires_action",
        "payment_intent.processing",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "charge.refunded",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.refund.updated",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "radar.early_fraud_warning.created",
        "radar.early_fraud_warning.updated",
    }
)
"""Each of them says no more than: look at the order anew."""
SUBSCRIPTION_EVENTS: Final = frozenset(
    {
        *(f"customer.subscription.{word}" for word in ("created", "updated", "deleted", "paused", "resumed")),
        *(f"invoice.{word}" for word in ("finalized", "paid", "payment_failed", "payment_action_required", "voided")),
        "invoice.marked_uncollectible",
    }
)
"""Of those that say that a subscription may have changed, as many as are needed to hear of every change."""
NEEDED_EVENTS: Final = ORDER_EVENTS | SUBSCRIPTION_EVENTS
"""What Stripe has to deliver; more does no harm."""
MAX_FAILURES: Final = 12
"""So often one may fail by itself before a person has to look; with the pauses between, for about an hour."""
MAX_AGE: Final = timedelta(days=3)
"""So long it is tried while Stripe is away: as long as Stripe itself would deliver it again."""


class ReceivedEvent(Struct, frozen=True, kw_only=True):
    """A stored event of Stripe's, with the ids that its object tells."""

    id: str
    type: str
    received_at: datetime
    failures: int
    clues: Clues
