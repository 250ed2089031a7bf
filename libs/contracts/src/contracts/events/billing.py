"""What billing says: orders paid and taken back, subscriptions, and payments that did not come.

Whoever hears it may rely on this, however late, often, out of order or under other ids it comes:

- Of an order, `CreditsPurchased` is said once, and before all that takes back or gives back. Of that the revisions are
  1, 2, 3 and so on; after each, what is revoked less what is restored is from nothing to all of the order's tokens.
- Of a subscription, `PlanSubscribed` and `PlanEnded` have the revisions 1, 2, 3 and so on. A period is named by its
  start, was paid, and overlaps no other. At most one subscription of an account gives a plan at a time: the end of
  another is said before.
- What has an order and a revision, or a subscription and a revision, says the same for good.

That it is so, `tests/unit/billing/test_convergence_properties.py` and `test_subscription_histories.py` hold; what is
made of it, `tests/unit/ledger/test_billing_machine.py` and `tests/unit/notifier/test_receipts.py`.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from contracts.limits import MAX_INTEGER, Identifier, StoredMoment, Tokens

AmountMinor = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
"""Money in the smallest unit of its currency, as Stripe counts it."""
Currency = Annotated[str, Meta(pattern=r"^[a-z]{3}$(?!\n)")]
Revision = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]


class OrderSource(StrEnum):
    """How an order came about: bought on a page, by auto top-up, with a code, or entered by an operator."""

    PACKAGE = "package"
    TOP_UP = "top_up"
    VOUCHER = "voucher"
    MANUAL = "manual"


class TakenBackFor(StrEnum):
    """Why credits of an order are taken back, or given back after that."""

    REFUND = "refund"
    DISPUTE = "dispute"
    FRAUD_WARNING = "fraud_warning"


class PlanChange(StrEnum):
    STARTED = "started"
    RENEWED = "renewed"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"


class PlanEnd(StrEnum):
    """Cancelled by its person, unpaid after its grace, its payment refunded or disputed, or another one replaced it."""

    CANCELLED = "cancelled"
    UNPAID = "unpaid"
    TAKEN_BACK = "taken_back"
    REPLACED = "replaced"


class TopUpPause(StrEnum):
    """The bank wants to see the card's owner, two payments failed, or an order of it was refunded."""

    AUTHENTICATION_REQUIRED = "authentication_required"
    FAILED_TWICE = "failed_twice"
    TAKEN_BACK = "taken_back"


class CreditsPurchased(Struct, frozen=True, kw_only=True):
    """An order is paid, once per order; `payer_id` None: the account itself paid. The lot is `order_lot_id`."""

    order_id: Identifier
    tokens: Tokens
    amount_minor: AmountMinor
    currency: Currency
    source: OrderSource
    package_id: str | None = None
    payer_id: str | None = None
    expires_at: StoredMoment | None = None


class PurchaseRevoked(Struct, frozen=True, kw_only=True):
    """`tokens` more of the order are taken back for `amount_minor`; `revision` counts an order's, from 1."""

    order_id: Identifier
    revision: Revision
    tokens: Tokens
    amount_minor: AmountMinor
    currency: Currency
    cause: TakenBackFor
    reference: str


class PurchaseRestored(Struct, frozen=True, kw_only=True):
    """`tokens` that were taken back are given back: a dispute was won, or a refund failed. `revision` as there."""

    order_id: Identifier
    revision: Revision
    tokens: Tokens
    amount_minor: AmountMinor
    currency: Currency
    cause: TakenBackFor
    reference: str


class PlanSubscribed(Struct, frozen=True, kw_only=True):
    """A period of a subscription is paid, or its plan changed within one; `revision` counts a subscription's events.

    They count in its order, however they come. `period_starts_at` names the period: one payment, one allowance.
    """

    subscription_id: Identifier
    revision: Revision
    plan: str
    change: PlanChange
    period_starts_at: StoredMoment
    period_ends_at: StoredMoment
    order_id: Identifier
    amount_minor: AmountMinor
    currency: Currency
    payer_id: str | None = None


class PlanEnded(Struct, frozen=True, kw_only=True):
    """The subscription gives its plan no longer, from now on; `revision` as there."""

    subscription_id: Identifier
    revision: Revision
    plan: str
    cause: PlanEnd


class PaymentFailed(Struct, frozen=True, kw_only=True):
    """A payment that its person took for made did not come: a boleto that nobody paid, a declined auto top-up."""

    order_id: Identifier
    tokens: Tokens
    amount_minor: AmountMinor
    currency: Currency
    source: OrderSource


class RenewalFailed(Struct, frozen=True, kw_only=True):
    """A subscription's renewal is not paid; told on day 0 and day 2 of its grace (`reminder` 1 and 2)."""

    subscription_id: Identifier
    plan: str
    reminder: Annotated[int, Meta(ge=1, le=2)]
    amount_minor: AmountMinor
    currency: Currency
    grace_ends_at: StoredMoment


class TopUpPaused(Struct, frozen=True, kw_only=True):
    """Auto top-up buys nothing any more until its person turns it on again."""

    package_id: str
    cause: TopUpPause


def order_lot_id(order_id: str) -> str:
    """The ledger's lot of an order: the same for whatever is said of the order."""
    return f"order:{order_id}"
