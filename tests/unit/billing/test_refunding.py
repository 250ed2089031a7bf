"""An order gives back what is left of it, in the way in which it was paid, and no more however it is split."""

from datetime import UTC, datetime

import pytest
from billing.domain.facts import RefundFacts
from billing.domain.orders import Order, OrderKind, OrderState
from billing.domain.refunding import RefundPlan, Way, plan_refund
from contracts.errors import InvalidError
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
PAID = Order(
    id="o-1",
    kind=OrderKind.PACKAGE,
    state=OrderState.PAID,
    account_id="ana",
    tokens=500_000,
    amount_minor=7490,
    paid_minor=7490,
    currency="brl",
    payment_intent_id="pi_1",
    created_at=NOW,
    changed_at=NOW,
    paid_at=NOW,
)
BY_HAND = structs.replace(PAID, kind=OrderKind.MANUAL)
GIFT = structs.replace(BY_HAND, amount_minor=0, paid_minor=0)


def _refund(amount_minor: int, status: str = "succeeded") -> RefundFacts:
    return RefundFacts(id="re_1", amount_minor=amount_minor, currency="brl", status=status, created_at=NOW)


@pytest.mark.parametrize(
    ("order", "typed", "plan"),
    [
        (PAID, None, RefundPlan(way=Way.STRIPE, amount_minor=7490)),
        (PAID, 1, RefundPlan(way=Way.STRIPE, amount_minor=1)),
        (BY_HAND, None, RefundPlan(way=Way.RECORD, amount_minor=7490)),
        (GIFT, None, RefundPlan(way=Way.RECORD, amount_minor=0)),
        (structs.replace(PAID, paid_minor=0), None, RefundPlan(way=Way.RECORD, amount_minor=0)),
        (
            structs.replace(BY_HAND, state=OrderState.AWAITING_APPROVAL, paid_minor=None, paid_at=None),
            None,
            RefundPlan(way=Way.CANCEL, amount_minor=0),
        ),
        (
            structs.replace(PAID, state=OrderState.QUARANTINED, paid_minor=None, paid_at=None),
            None,
            RefundPlan(way=Way.STRIPE, amount_minor=None),
        ),
    ],
)
def test_it_is_given_back_in_the_way_in_which_it_was_paid(order: Order, typed: int | None, plan: RefundPlan) -> None:
    assert plan_refund(order, (), typed, has_payment=True) == plan


@pytest.mark.parametrize(
    ("order", "refunds", "typed", "told"),
    [
        (PAID, (), 0, "from 1 to the 7490 brl"),
        (PAID, (), 7491, "from 1 to the 7490 brl"),
        (PAID, (_refund(7000, "pending"),), 491, "from 1 to the 490 brl"),
        (PAID, (_refund(7490),), None, "nothing is left"),
        (structs.replace(PAID, disputed_minor=7490), (), None, "nothing is left"),
        (structs.replace(PAID, payment_intent_id=None), (), None, "Dashboard"),
        (structs.replace(PAID, state=OrderState.OPEN, paid_minor=None, paid_at=None), (), None, "nothing was paid"),
        (GIFT, (_refund(0),), None, "taken back already"),
        (GIFT, (), 5, "cost nothing"),
    ],
)
def test_what_is_not_there_is_not_given_back(
    order: Order, refunds: tuple[RefundFacts, ...], typed: int | None, told: str
) -> None:
    with pytest.raises(InvalidError, match=told):
        plan_refund(order, refunds, typed, has_payment=order.payment_intent_id is not None)


def test_a_refund_that_failed_can_be_given_once_more() -> None:
    assert plan_refund(PAID, (_refund(7490, "failed"),), None, has_payment=True).amount_minor == 7490


@given(st.lists(st.integers(1, 3_000), max_size=8))
def test_parts_and_then_the_rest_are_exactly_what_was_paid(parts: list[int]) -> None:
    given_back: list[RefundFacts] = []
    for part in parts:
        if part < 7490 - sum(each.amount_minor for each in given_back):
            given_back.append(_refund(plan_refund(PAID, tuple(given_back), part, has_payment=True).amount_minor or 0))
    rest = plan_refund(PAID, tuple(given_back), None, has_payment=True).amount_minor or 0
    assert sum(each.amount_minor for each in given_back) + rest == 7490
