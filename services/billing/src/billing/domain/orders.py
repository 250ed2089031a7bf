"""An order: who gets what, who pays how much, and what has become of it."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Final

from contracts.events.billing import OrderSource
from contracts.limits import MAX_INTEGER
from msgspec import Struct


class OrderKind(StrEnum):
    """What an order is for, or how it came about; all but a subscription's give credits."""

    PACKAGE = "package"
    TOP_UP = "top_up"
    VOUCHER = "voucher"
    MANUAL = "manual"
    SUBSCRIPTION = "subscription"


CREDITS_SOURCE: Final = {
    OrderKind.PACKAGE: OrderSource.PACKAGE,
    OrderKind.TOP_UP: OrderSource.TOP_UP,
    OrderKind.VOUCHER: OrderSource.VOUCHER,
    OrderKind.MANUAL: OrderSource.MANUAL,
}
"""How the ledger and mails are told of it; a subscription's order gives a plan, and no credits."""


class OrderState(StrEnum):
    """Where an order stands; refunds and disputes are amounts beside it.

    `open`: Stripe shows a Checkout. `pending`: a Pix or boleto is issued and awaited. `quarantined`: what Stripe says
    of it is not what was ordered, and a person has to look.
    """

    AWAITING_APPROVAL = "awaiting_approval"
    CREATED = "created"
    OPEN = "open"
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"


PAID_OUTSIDE: Final = (OrderKind.MANUAL, OrderKind.VOUCHER)
"""Stripe has no part in them."""
SWEPT_STATES: Final = (OrderState.CREATED, OrderState.OPEN, OrderState.PENDING)
"""What Stripe may still change without our having heard of it."""


ORDER_ID: Final = re.compile(r"ord_[0-9a-f]{32}")
"""The form of every order's id, by which ours are told from others' at Stripe."""


class Order(Struct, frozen=True, kw_only=True):
    """One row of `billing.orders`.

    `account_id` gets, `payer_id` pays; None: the account itself. `is_guests`: begun with a purchase link, which a
    stranger may have, so it is paid by a customer of Stripe's that was made for it alone. `amount_minor` is the price
    that was ordered, `paid_minor` what was really collected: less by a discount, more by tax; both in `currency`'s
    smallest unit. `refunded_minor`, `disputed_minor` and `is_frozen` are what the last look at Stripe found;
    `is_trusted` says that a person knows the buyer, so that a warning of fraud freezes nothing. `revoked_tokens`
    follows from them, and `revision` counts the times that it changed. Every write raises `version`.
    """

    id: str
    version: int = 1
    kind: OrderKind
    state: OrderState = OrderState.CREATED
    account_id: str
    payer_id: str | None = None
    is_guests: bool = False
    customer_id: str | None = None
    package_id: str | None = None
    plan: str | None = None
    tokens: int
    amount_minor: int
    currency: str
    credits_expire_at: datetime | None = None
    locale: str | None = None
    livemode: bool = False
    session_id: str | None = None
    session_url: str | None = None
    session_expires_at: datetime | None = None
    payment_intent_id: str | None = None
    subscription_id: str | None = None
    invoice_id: str | None = None
    paid_minor: int | None = None
    discount_minor: int = 0
    tax_minor: int = 0
    refunded_minor: int = 0
    disputed_minor: int = 0
    is_frozen: bool = False
    is_trusted: bool = False
    revoked_tokens: int = 0
    revision: int = 0
    receipt_url: str | None = None
    code_url: str | None = None
    quarantine_reason: str | None = None
    reference: str | None = None
    reason: str | None = None
    created_at: datetime
    changed_at: datetime
    paid_at: datetime | None = None

    def __post_init__(self) -> None:
        """Holds what no decision may break.

        Raises:
            ValueError: amounts or tokens are out of range, or more is taken back than was bought.
        """
        if not 0 <= self.revoked_tokens <= self.tokens <= MAX_INTEGER:
            raise ValueError("tokens out of range")
        if not 0 <= self.amount_minor <= MAX_INTEGER:
            raise ValueError("amount out of range")
        if self.revoked_tokens and self.state is not OrderState.PAID:
            raise ValueError("nothing can be taken back of an order that is not paid")

    @property
    def pays(self) -> str:
        """The account that pays."""
        return self.payer_id or self.account_id

    @property
    def gives_credits(self) -> bool:
        return self.kind is not OrderKind.SUBSCRIPTION

    @property
    def cost_nothing(self) -> bool:
        """Credits that were given for nothing: at Stripe, an order with a discount of all of it has no payment."""
        return self.gives_credits and self.paid_minor == 0
