"""What Stripe says of a subscription, in our words: its status, its invoices, and what each of their lines paid for."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class StripeStatus(StrEnum):
    """Stripe's own words for the life of a subscription."""

    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        """Whether Stripe will charge nothing for it any more."""
        return self in {StripeStatus.CANCELED, StripeStatus.INCOMPLETE_EXPIRED}


class InvoiceStatus(StrEnum):
    """Stripe's own words for the life of an invoice."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    UNCOLLECTIBLE = "uncollectible"
    VOID = "void"


class InvoiceLine(Struct, frozen=True, kw_only=True):
    """What one line pays for: `plan` from `starts_at` on, until `ends_at`; None: no plan of ours has its price.

    `amount_minor` is before discounts: 0 in a trial, negative where unused time is given back. `prorated`: for the rest
    of a period, not for a whole one.
    """

    plan: str | None
    amount_minor: int
    starts_at: datetime
    ends_at: datetime
    prorated: bool


class Invoice(Struct, frozen=True, kw_only=True):
    """One invoice; `attempted`: a payment of it was tried. Amounts are in minor units of `currency`.

    `refunded_minor` counts refunds that succeeded, `refund_pending_minor` those on their way. `disputed`: a dispute
    took the money, and is not won. `payment_intent_id` is its payment's, where it has one.
    """

    invoice_id: str
    status: InvoiceStatus
    attempted: bool
    due_minor: int
    paid_minor: int
    currency: str
    lines: Sequence[InvoiceLine]
    refunded_minor: int = 0
    refund_pending_minor: int = 0
    disputed: bool = False
    payment_intent_id: str | None = None

    @property
    def is_taken_back(self) -> bool:
        """Whether the money of a paid invoice is gone again; a part of it refunded out of goodwill takes no plan."""
        return self.disputed or (self.paid_minor > 0 and self.refunded_minor >= self.paid_minor)


class SubscriptionFacts(Struct, frozen=True, kw_only=True):
    """A subscription as Stripe tells it at `as_of`, which is the time of its test clock where it has one.

    `cancel_at`: when it will end by itself, at a period's end or before.
    `ended_for_payment`: it was ended because nobody paid. `is_paused`: invoices are not collected. `invoices` are the
    latest ones, in any order.
    """

    subscription_id: str
    customer_id: str
    status: StripeStatus
    as_of: datetime
    invoices: Sequence[Invoice]
    cancel_at: datetime | None = None
    ended_for_payment: bool = False
    is_paused: bool = False
    order_id: str | None = None
    livemode: bool = False
