"""What may be given back of an order, and in which way."""

from dataclasses import dataclass
from enum import StrEnum

from contracts.errors import InvalidError

from billing.domain.facts import RefundFacts
from billing.domain.orders import PAID_OUTSIDE, Order, OrderState


class Way(StrEnum):
    """How an order is given back: Stripe pays it back, or a record says that it was done, or it never was paid."""

    STRIPE = "stripe"
    RECORD = "record"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundPlan:
    """`amount_minor` in the currency's smallest unit; None: all that Stripe has, of an order that was not credited."""

    way: Way
    amount_minor: int | None


def plan_refund(
    order: Order, refunds: tuple[RefundFacts, ...], amount_minor: int | None, *, has_payment: bool
) -> RefundPlan:
    """What a refund of that amount comes to; without one, of all that is left. `has_payment`: Stripe has one of it.

    What is on its way back counts as back already. An order that cost nothing is taken back as a whole.

    Raises:
        InvalidError: nothing was paid, nothing is left, or less than was asked for.
    """
    if order.state is OrderState.AWAITING_APPROVAL:
        return RefundPlan(way=Way.CANCEL, amount_minor=0)
    if order.state is OrderState.QUARANTINED and has_payment:
        return RefundPlan(way=Way.STRIPE, amount_minor=amount_minor)
    if order.state is not OrderState.PAID:
        raise InvalidError(f"order {order.id} is {order.state}: nothing was paid that could be given back")
    paid_minor = order.paid_minor or 0
    way = Way.RECORD if order.kind in PAID_OUTSIDE or not paid_minor else Way.STRIPE
    if way is Way.STRIPE and not has_payment:
        raise InvalidError(
            f"no payment of order {order.id} is known; refund it in Stripe's Dashboard, and it is followed"
        )
    if not paid_minor:
        return _of_nothing(order, refunds, amount_minor)
    left_minor = paid_minor - sum(each.amount_minor for each in refunds if not each.has_failed)
    left_minor -= order.disputed_minor
    wanted_minor = left_minor if amount_minor is None else amount_minor
    if left_minor <= 0:
        raise InvalidError(f"nothing is left of the {paid_minor} {order.currency} of order {order.id}")
    if not 1 <= wanted_minor <= left_minor:
        raise InvalidError(f"AMOUNT: from 1 to the {left_minor} {order.currency} that are left of order {order.id}")
    return RefundPlan(way=way, amount_minor=wanted_minor)


def _of_nothing(order: Order, refunds: tuple[RefundFacts, ...], amount_minor: int | None) -> RefundPlan:
    if amount_minor:
        raise InvalidError(f"AMOUNT: order {order.id} cost nothing; without it, its tokens are taken back")
    if any(not each.has_failed for each in refunds):
        raise InvalidError(f"the tokens of order {order.id} are taken back already")
    return RefundPlan(way=Way.RECORD, amount_minor=0)
