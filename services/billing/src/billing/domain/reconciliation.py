"""What Stripe has and what stands here, side by side: each difference that is left once all was followed, in words."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from billing.domain.facts import DisputeFacts, RefundFacts, SessionFacts
from billing.domain.orders import Order, OrderState

_ENDED_UNPAID: Final = frozenset({OrderState.EXPIRED, OrderState.FAILED, OrderState.CANCELLED})


class DifferenceKind(StrEnum):
    """What nobody can explain from here: a person has to look."""

    PAID_UNKNOWN_ORDER = "paid_unknown_order"
    QUARANTINED = "quarantined"
    PAID_THERE_ALONE = "paid_there_alone"
    PAID_HERE_ALONE = "paid_here_alone"
    PAID_TWICE = "paid_twice"
    AMOUNT = "amount"
    MISSING_THERE = "missing_there"
    REFUND = "refund"
    DISPUTE = "dispute"
    SUBSCRIPTION = "subscription"
    PAID_IN_VAIN = "paid_in_vain"
    NOT_LOOKED_AT = "not_looked_at"


class Difference(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of them, with the object of Stripe's and the order that it is about."""

    difference: DifferenceKind
    stripe_id: str | None = None
    order_id: str | None = None
    explanation: str


def agrees(session: SessionFacts, order: Order) -> bool:
    """Whether the order says all that the Checkout does, so that neither has to be looked at again."""
    if session.is_paid:
        return order.state is OrderState.PAID and checkout_difference(session, order, ()) is None
    return order.state in _ENDED_UNPAID


def checkout_difference(
    session: SessionFacts, order: Order | None, refunds: Sequence[RefundFacts]
) -> Difference | None:
    """What is not the same of a Checkout and its order; None: nothing, or nobody paid."""

    def difference(kind: DifferenceKind, explanation: str) -> Difference:
        return Difference(difference=kind, stripe_id=session.id, order_id=session.order_id, explanation=explanation)

    if order is None:
        told = f"{session.total_minor} {session.currency} were paid for an order that is not known here"
        return difference(DifferenceKind.PAID_UNKNOWN_ORDER, told) if session.is_paid else None
    if not session.is_paid:
        if order.state is OrderState.PAID and order.session_id == session.id:
            return difference(DifferenceKind.PAID_HERE_ALONE, "the order is paid, and its Checkout is not")
        return None
    if order.state is OrderState.QUARANTINED:
        if sum(each.amount_minor for each in refunds if each.has_left) >= session.total_minor:
            return None
        return difference(DifferenceKind.QUARANTINED, f"paid, and not as ordered ({order.quarantine_reason})")
    if order.state is not OrderState.PAID:
        return difference(DifferenceKind.PAID_THERE_ALONE, f"the Checkout is paid, and the order is {order.state}")
    if order.session_id != session.id:
        told = f"a second Checkout was paid for the order, beside {order.session_id}: refund it in Stripe's Dashboard"
        return difference(DifferenceKind.PAID_TWICE, told)
    there = session.subtotal_minor, session.total_minor, session.currency
    if there != (order.amount_minor, order.paid_minor, order.currency):
        told = f"Stripe has {_money(*there)}, the order {_money(order.amount_minor, order.paid_minor, order.currency)}"
        return difference(DifferenceKind.AMOUNT, told)
    return None


def part_difference(
    part: RefundFacts | DisputeFacts,
    stored: Iterable[RefundFacts | DisputeFacts],
    order_id: str,
    kind: DifferenceKind,
) -> Difference | None:
    """What is not the same of a refund or dispute and what stands here of it."""
    known = next((each for each in stored if each.id == part.id), None)
    if known is not None and (known.status, known.amount_minor) == (part.status, part.amount_minor):
        return None
    here = "nothing" if known is None else f"{known.amount_minor}, {known.status}"
    told = f"Stripe has {part.amount_minor} {part.currency}, {part.status}; here stands {here}"
    return Difference(difference=kind, stripe_id=part.id, order_id=order_id, explanation=told)


def _money(amount_minor: int, paid_minor: int | None, currency: str) -> str:
    return f"{amount_minor} ordered and {paid_minor} collected in {currency}"
