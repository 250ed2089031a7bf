"""Stripe's subscriptions and invoices as far as billing reads them, and what they say in words of ours."""

from datetime import datetime

from msgspec import Struct

from billing.domain.clues import ORDER_KEY
from billing.domain.facts import DisputeFacts, RefundFacts
from billing.domain.plan_prices import PlanPrices
from billing.domain.subscription_facts import (
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    StripeStatus,
    SubscriptionFacts,
)
from billing.stripe_api.wire import Reference, id_of, moment


class SubscriptionItem(Struct, frozen=True):
    current_period_end: int


class ItemList(Struct, frozen=True):
    data: list[SubscriptionItem]


class TestClock(Struct, frozen=True):
    """Its time is the subscription's: a test lets months pass in seconds."""

    frozen_time: int


class CancellationDetails(Struct, frozen=True):
    reason: str | None = None


class SubscriptionWire(Struct, frozen=True):
    """With its test clock, where the request asked for it (`test_clock`)."""

    id: str
    status: StripeStatus
    customer: Reference | str
    items: ItemList
    livemode: bool
    metadata: dict[str, str] = {}
    cancel_at: int | None = None
    cancel_at_period_end: bool = False
    cancellation_details: CancellationDetails | None = None
    pause_collection: dict[str, object] | None = None
    test_clock: TestClock | str | None = None

    def as_of(self, now: datetime) -> datetime:
        """The time that it has, where it is `now` by our clock."""
        return moment(self.test_clock.frozen_time) if isinstance(self.test_clock, TestClock) else now

    def facts(self, invoices: tuple[Invoice, ...], now: datetime) -> SubscriptionFacts:
        details = self.cancellation_details
        return SubscriptionFacts(
            subscription_id=self.id,
            customer_id=id_of(self.customer) or "",
            order_id=self.metadata.get(ORDER_KEY),
            livemode=self.livemode,
            status=self.status,
            as_of=self.as_of(now),
            invoices=invoices,
            cancel_at=self._cancel_at(),
            ended_for_payment=details is not None and details.reason == "payment_failed",
            is_paused=self.status is StripeStatus.PAUSED or self.pause_collection is not None,
        )

    def _cancel_at(self) -> datetime | None:
        if self.cancel_at is not None:
            return moment(self.cancel_at)
        ends = [item.current_period_end for item in self.items.data]
        return moment(max(ends)) if self.cancel_at_period_end and ends else None


class ProrationDetails(Struct, frozen=True):
    proration: bool = False


class LineParent(Struct, frozen=True):
    subscription_item_details: ProrationDetails | None = None
    invoice_item_details: ProrationDetails | None = None


class PriceDetails(Struct, frozen=True):
    price: Reference | str
    product: str


class LinePricing(Struct, frozen=True):
    price_details: PriceDetails | None = None


class Period(Struct, frozen=True):
    start: int
    end: int


class LineWire(Struct, frozen=True):
    subtotal: int
    period: Period
    parent: LineParent | None = None
    pricing: LinePricing | None = None

    @property
    def is_of_a_subscription(self) -> bool:
        """Not something else that an operator put on the invoice."""
        parent = self.parent
        return parent is not None and (parent.subscription_item_details is not None or self._is_prorated)

    @property
    def _is_prorated(self) -> bool:
        parent = self.parent or LineParent()
        details = (parent.subscription_item_details, parent.invoice_item_details)
        return any(each is not None and each.proration for each in details)

    def line(self, prices: PlanPrices) -> InvoiceLine:
        price = self.pricing.price_details if self.pricing is not None else None
        return InvoiceLine(
            plan=None if price is None else prices.plan_of(id_of(price.price), price.product),
            amount_minor=self.subtotal,
            starts_at=moment(self.period.start),
            ends_at=moment(self.period.end),
            prorated=self._is_prorated,
        )


class LineList(Struct, frozen=True):
    data: list[LineWire]


class InvoicePaymentOf(Struct, frozen=True):
    payment_intent: Reference | str | None = None


class InvoicePayment(Struct, frozen=True):
    payment: InvoicePaymentOf
    status: str


class PaymentList(Struct, frozen=True):
    data: list[InvoicePayment]


class InvoiceWire(Struct, frozen=True):
    """With its payments, where the request asked for them (`payments`)."""

    id: str
    status: InvoiceStatus
    currency: str
    attempted: bool
    amount_due: int
    amount_paid: int
    lines: LineList
    payments: PaymentList | None = None

    @property
    def payment_intent_id(self) -> str | None:
        """Of the payment that paid it, else of the one that should."""
        payments = self.payments.data if self.payments is not None else []
        ordered = sorted(payments, key=lambda each: each.status != "paid")
        return next((found for each in ordered if (found := id_of(each.payment.payment_intent)) is not None), None)

    def invoice(
        self, prices: PlanPrices, refunds: tuple[RefundFacts, ...] = (), disputes: tuple[DisputeFacts, ...] = ()
    ) -> Invoice:
        return Invoice(
            invoice_id=self.id,
            status=self.status,
            attempted=self.attempted,
            due_minor=self.amount_due,
            paid_minor=self.amount_paid,
            currency=self.currency,
            lines=tuple(line.line(prices) for line in self.lines.data if line.is_of_a_subscription),
            refunded_minor=sum(each.amount_minor for each in refunds if each.has_left),
            refund_pending_minor=sum(
                each.amount_minor for each in refunds if not each.has_left and not each.has_failed
            ),
            disputed=any(each.is_withdrawn for each in disputes),
            payment_intent_id=self.payment_intent_id,
        )


class InvoiceList(Struct, frozen=True):
    data: list[InvoiceWire]


class PortalSession(Struct, frozen=True):
    url: str
