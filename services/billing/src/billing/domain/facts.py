"""What is known of an order's payment just now, wherever it was paid; amounts in the currency's smallest unit."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class SessionStatus(StrEnum):
    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


class SessionFacts(Struct, frozen=True, kw_only=True):
    """A Checkout; `order_id` is what it says that it is for. Complete is not paid: a boleto is paid days later.

    `is_lapsed`: the subscription that it was for has ended, or nobody may pay its invoice any more.
    """

    id: str
    order_id: str | None
    status: SessionStatus
    is_paid: bool
    is_lapsed: bool = False
    subtotal_minor: int
    total_minor: int
    discount_minor: int
    tax_minor: int
    currency: str
    livemode: bool
    expires_at: datetime
    url: str | None = None
    customer_id: str | None = None
    payment_intent_id: str | None = None
    subscription_id: str | None = None
    invoice_id: str | None = None


class PaymentStatus(StrEnum):
    """`awaited`: a Pix or boleto is issued, or the bank is at it. `owed`: nothing was paid, an attempt may follow."""

    OWED = "owed"
    AWAITED = "awaited"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"


class PaymentFacts(Struct, frozen=True, kw_only=True):
    """`amount_minor` was asked for, `received_minor` came. `has_failed`: the last attempt was declined or ran out.

    `failure_code` is the bank's word for that, else Stripe's.
    """

    id: str
    order_id: str | None
    status: PaymentStatus
    amount_minor: int
    received_minor: int
    currency: str
    livemode: bool
    has_failed: bool = False
    failure_code: str | None = None
    method: str | None = None
    receipt_url: str | None = None
    code_url: str | None = None
    """Stripe's page with the Pix code or the boleto, while that is awaited."""


class RefundFacts(Struct, frozen=True, kw_only=True):
    """One refund, with Stripe's own word for its status; only one that `succeeded` has left, and it may fail later."""

    id: str
    amount_minor: int
    currency: str
    status: str
    created_at: datetime

    @property
    def has_left(self) -> bool:
        return self.status == "succeeded"

    @property
    def has_failed(self) -> bool:
        """It will not come."""
        return self.status in {"failed", "canceled"}


class DisputeFacts(Struct, frozen=True, kw_only=True):
    """One dispute, with Stripe's own word for its status; `is_withdrawn`: its amount was taken from us, or is lost."""

    id: str
    amount_minor: int
    currency: str
    status: str
    is_withdrawn: bool
    created_at: datetime

    @property
    def is_won(self) -> bool:
        return self.status == "won"


class FraudWarningFacts(Struct, frozen=True, kw_only=True):
    """The card's bank holds the payment for fraud; a dispute mostly follows."""

    id: str
    is_actionable: bool
    created_at: datetime


class OrderFacts(Struct, frozen=True, kw_only=True):
    """All there is of one order's payment: of its Checkout, where it has one, or of its payment alone."""

    session: SessionFacts | None = None
    payment: PaymentFacts | None = None
    refunds: tuple[RefundFacts, ...] = ()
    disputes: tuple[DisputeFacts, ...] = ()
    fraud_warnings: tuple[FraudWarningFacts, ...] = ()
