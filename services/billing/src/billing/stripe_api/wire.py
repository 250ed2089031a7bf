"""Stripe's objects as far as billing reads them, and what they say in words of ours."""

from datetime import UTC, datetime
from typing import Final, Literal

from msgspec import Struct

from billing.domain.clues import ORDER_KEY
from billing.domain.facts import (
    DisputeFacts,
    FraudWarningFacts,
    PaymentFacts,
    PaymentStatus,
    RefundFacts,
    SessionFacts,
    SessionStatus,
)

_AWAITED_ACTIONS: Final = ("boleto_display_details", "pix_display_qr_code")
"""What the person does elsewhere, and we wait for; any other action is done at the Checkout."""

_LAPSED: Final = ("incomplete_expired", "canceled", "void", "uncollectible")
"""Stripe's words for a subscription that has ended, and for an invoice that is not to be paid any more."""


class Reference(Struct, frozen=True):
    """An object that stands in another one, of which the id is enough."""

    id: str


class TotalDetails(Struct, frozen=True):
    amount_discount: int = 0
    amount_tax: int = 0


class Charge(Struct, frozen=True):
    id: str
    payment_intent: Reference | str | None = None
    receipt_url: str | None = None
    payment_method_details: dict[str, object] | None = None


class LastPaymentError(Struct, frozen=True):
    code: str | None = None
    decline_code: str | None = None


class PixCode(Struct, frozen=True):
    hosted_instructions_url: str | None = None


class Boleto(Struct, frozen=True):
    hosted_voucher_url: str | None = None


class NextAction(Struct, frozen=True):
    type: str
    pix_display_qr_code: PixCode | None = None
    boleto_display_details: Boleto | None = None

    @property
    def code_url(self) -> str | None:
        """Where what is to be paid elsewhere is shown; it stands as a link on a page of ours."""
        if self.pix_display_qr_code is not None:
            url = self.pix_display_qr_code.hosted_instructions_url
        elif self.boleto_display_details is not None:
            url = self.boleto_display_details.hosted_voucher_url
        else:
            return None
        return url if url is not None and url.startswith(("https://", "http://127.0.0.1:")) else None


class PaymentIntent(Struct, frozen=True):
    """With its charge, where the request asked for it (`latest_charge`)."""

    id: str
    status: str
    amount: int
    currency: str
    livemode: bool
    amount_received: int = 0
    metadata: dict[str, str] = {}
    last_payment_error: LastPaymentError | None = None
    next_action: NextAction | None = None
    latest_charge: Charge | str | None = None

    def facts(self) -> PaymentFacts:
        charge = self.latest_charge if isinstance(self.latest_charge, Charge) else None
        failure = self.last_payment_error
        details = charge.payment_method_details if charge is not None else None
        method = details.get("type") if details is not None else None
        return PaymentFacts(
            id=self.id,
            order_id=self.metadata.get(ORDER_KEY),
            status=self._status(),
            amount_minor=self.amount,
            received_minor=self.amount_received,
            currency=self.currency,
            livemode=self.livemode,
            has_failed=failure is not None,
            failure_code=None if failure is None else failure.decline_code or failure.code,
            method=method if isinstance(method, str) else None,
            receipt_url=None if charge is None else charge.receipt_url,
            code_url=None if self.next_action is None else self.next_action.code_url,
        )

    def _status(self) -> PaymentStatus:
        match self.status:
            case "succeeded":
                return PaymentStatus.SUCCEEDED
            case "canceled":
                return PaymentStatus.CANCELLED
            case "processing":
                return PaymentStatus.AWAITED
            case "requires_action" if self.next_action is not None and self.next_action.type in _AWAITED_ACTIONS:
                return PaymentStatus.AWAITED
            case _:
                return PaymentStatus.OWED


class Awaited(Struct, frozen=True):
    """The subscription or invoice of a Checkout, as far as it tells whether that may still be paid."""

    id: str
    status: str | None = None


class Session(Struct, frozen=True):
    """With its payment intent, subscription and invoice, where the request asked for them."""

    id: str
    status: SessionStatus
    payment_status: str
    amount_subtotal: int
    amount_total: int
    currency: str
    livemode: bool
    expires_at: int
    mode: str = "payment"
    url: str | None = None
    client_reference_id: str | None = None
    metadata: dict[str, str] | None = None
    total_details: TotalDetails | None = None
    customer: Reference | str | None = None
    payment_intent: PaymentIntent | str | None = None
    subscription: Awaited | str | None = None
    invoice: Awaited | str | None = None

    def facts(self) -> SessionFacts:
        totals = self.total_details or TotalDetails()
        return SessionFacts(
            id=self.id,
            order_id=self.client_reference_id or (self.metadata or {}).get(ORDER_KEY),
            status=self.status,
            is_paid=self.status is SessionStatus.COMPLETE and self._is_settled(),
            is_lapsed=any(
                isinstance(each, Awaited) and each.status in _LAPSED for each in (self.subscription, self.invoice)
            ),
            subtotal_minor=self.amount_subtotal,
            total_minor=self.amount_total,
            discount_minor=totals.amount_discount,
            tax_minor=totals.amount_tax,
            currency=self.currency,
            livemode=self.livemode,
            expires_at=moment(self.expires_at),
            url=self.url,
            customer_id=id_of(self.customer),
            payment_intent_id=id_of(self.payment_intent),
            subscription_id=id_of(self.subscription),
            invoice_id=id_of(self.invoice),
        )

    def _is_settled(self) -> bool:
        """A Checkout stays unpaid for good where its boleto lapsed and the invoice was paid on a page of its own."""
        by_invoice = isinstance(self.invoice, Awaited) and self.invoice.status == "paid"
        return by_invoice or self.payment_status in ("paid", "no_payment_required")

    def payment(self) -> PaymentFacts | None:
        return self.payment_intent.facts() if isinstance(self.payment_intent, PaymentIntent) else None


class Refund(Struct, frozen=True):
    id: str
    amount: int
    currency: str
    created: int
    status: str | None = None
    payment_intent: Reference | str | None = None
    metadata: dict[str, str] | None = None

    def facts(self) -> RefundFacts:
        return RefundFacts(
            id=self.id,
            amount_minor=self.amount,
            currency=self.currency,
            status=self.status or "pending",
            created_at=moment(self.created),
        )


class BalanceTransaction(Struct, frozen=True):
    id: str
    amount: int


class Dispute(Struct, frozen=True):
    """An inquiry (`warning_…`) moves no money; whatever else is open has withdrawn it once a balance says so."""

    id: str
    amount: int
    currency: str
    status: str
    created: int
    balance_transactions: list[BalanceTransaction] = []
    payment_intent: Reference | str | None = None

    def facts(self) -> DisputeFacts:
        # In the currency of our balance, perhaps not that of the charge: the sign is what counts.
        has_moved = sum(each.amount for each in self.balance_transactions) < 0
        gives_back = self.status in ("won", "prevented") or self.status.startswith("warning_")
        return DisputeFacts(
            id=self.id,
            amount_minor=self.amount,
            currency=self.currency,
            status=self.status,
            is_withdrawn=not gives_back and (has_moved or self.status == "lost"),
            created_at=moment(self.created),
        )


class FraudWarning(Struct, frozen=True):
    id: str
    actionable: bool
    created: int
    payment_intent: Reference | str | None = None

    def facts(self) -> FraudWarningFacts:
        return FraudWarningFacts(id=self.id, is_actionable=self.actionable, created_at=moment(self.created))


def moment(seconds: int) -> datetime:
    """Stripe's times are seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def stripe_locale(locale: str) -> Literal["pt-BR", "en"]:
    """The language that Stripe's pages are shown in."""
    return "pt-BR" if locale.startswith("pt") else "en"


def id_of(reference: Reference | Awaited | PaymentIntent | str | None) -> str | None:
    """The id of what is expanded, or is one."""
    return reference if isinstance(reference, str) or reference is None else reference.id
