"""Orders and facts for tests of what follows from them."""

from datetime import UTC, datetime, timedelta

from billing.domain.convergence import ConvergedOrder, converge_order
from billing.domain.facts import (
    DisputeFacts,
    FraudWarningFacts,
    OrderFacts,
    PaymentFacts,
    PaymentStatus,
    RefundFacts,
    SessionFacts,
    SessionStatus,
)
from billing.domain.orders import Order, OrderKind
from contracts.events.billing import CreditsPurchased, PurchaseRestored, PurchaseRevoked
from msgspec import structs

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def order(tokens: int = 500_000, amount_minor: int = 7_490, **fields: object) -> Order:
    known = {
        "id": "ord_1",
        "kind": OrderKind.PACKAGE,
        "account_id": "ana",
        "package_id": "small",
        "tokens": tokens,
        "amount_minor": amount_minor,
        "currency": "brl",
        "created_at": NOW,
        "changed_at": NOW,
    }
    return Order(**(known | fields))  # type: ignore[arg-type]  # of each field's own type


def session(status: SessionStatus = SessionStatus.COMPLETE, **fields: object) -> SessionFacts:
    subtotal = 7_490
    known = {
        "id": "cs_1",
        "order_id": "ord_1",
        "status": status,
        "is_paid": status is SessionStatus.COMPLETE,
        "subtotal_minor": subtotal,
        "total_minor": subtotal,
        "discount_minor": 0,
        "tax_minor": 0,
        "currency": "brl",
        "livemode": False,
        "expires_at": NOW + timedelta(hours=1),
        "url": "https://checkout.example/cs_1" if status is SessionStatus.OPEN else None,
        "payment_intent_id": "pi_1" if status is SessionStatus.COMPLETE else None,
    }
    return SessionFacts(**(known | fields))  # type: ignore[arg-type]  # as above


def payment(status: PaymentStatus = PaymentStatus.SUCCEEDED, **fields: object) -> PaymentFacts:
    known = {
        "id": "pi_1",
        "order_id": "ord_1",
        "status": status,
        "amount_minor": 7_490,
        "received_minor": 7_490 if status is PaymentStatus.SUCCEEDED else 0,
        "currency": "brl",
        "livemode": False,
    }
    return PaymentFacts(**(known | fields))  # type: ignore[arg-type]  # as above


def refund(number: int, amount_minor: int, status: str = "succeeded") -> RefundFacts:
    created_at = NOW + timedelta(seconds=number)
    return RefundFacts(
        id=f"re_{number}", amount_minor=amount_minor, currency="brl", status=status, created_at=created_at
    )


def dispute(number: int, amount_minor: int, status: str, *, is_withdrawn: bool) -> DisputeFacts:
    return DisputeFacts(
        id=f"du_{number}",
        amount_minor=amount_minor,
        currency="brl",
        status=status,
        is_withdrawn=is_withdrawn,
        created_at=NOW + timedelta(seconds=number),
    )


def fraud_warning(number: int) -> FraudWarningFacts:
    return FraudWarningFacts(id=f"issfr_{number}", is_actionable=True, created_at=NOW)


PAID = OrderFacts(session=session(), payment=payment())


def look(at: Order, facts: OrderFacts) -> ConvergedOrder:
    """One look, whose effect is checked for what must hold of each."""
    converged = converge_order(at, facts, now=NOW, who="test")
    repeated = converge_order(converged.order, facts, now=NOW + timedelta(days=1), who="again")
    assert repeated.order is converged.order, "a second look at the same facts changes nothing"
    assert not repeated.events
    assert not repeated.changes
    return converged


class Books:
    """What a ledger makes of the events: each once, by its number."""

    def __init__(self) -> None:
        self.granted = 0
        self.revoked = 0
        self.revisions: list[int] = []

    def hear(self, converged: ConvergedOrder) -> None:
        for event in converged.events:
            match event:
                case CreditsPurchased():
                    self.granted += event.tokens
                case PurchaseRevoked():
                    assert self.granted, "what is taken back was told to be bought before"
                    self.revoked += event.tokens
                    self.revisions.append(event.revision)
                case PurchaseRestored():
                    self.revoked -= event.tokens
                    self.revisions.append(event.revision)
                case _:
                    pass


def with_ids(of: Order, **fields: object) -> Order:
    return structs.replace(of, **fields)
