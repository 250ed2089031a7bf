"""What an order becomes where its Checkout, its payment and what was known before say different things."""

import pytest
from billing.domain.facts import OrderFacts, PaymentStatus, SessionStatus
from billing.domain.orders import OrderKind, OrderState
from msgspec.structs import replace

from tests.unit.billing.story import PAID, look, order, payment, refund, session

BOLETO_ISSUED = OrderFacts(session=session(is_paid=False), payment=payment(PaymentStatus.AWAITED))
BOLETO_RAN_OUT = OrderFacts(session=session(is_paid=False), payment=payment(PaymentStatus.OWED, has_failed=True))
EXPIRED = OrderFacts(session=session(SessionStatus.EXPIRED))


@pytest.mark.parametrize("status", list(SessionStatus))
def test_a_payment_that_came_counts_whatever_its_checkout_says(status: SessionStatus) -> None:
    facts = OrderFacts(session=session(status, is_paid=False), payment=payment())
    assert look(order(), facts).order.state is OrderState.PAID


@pytest.mark.parametrize(
    ("before", "facts", "state"),
    [
        (
            "created",
            OrderFacts(session=session(SessionStatus.EXPIRED), payment=payment(PaymentStatus.AWAITED)),
            "pending",
        ),
        ("pending", OrderFacts(session=session(is_paid=False), payment=payment(PaymentStatus.OWED)), "failed"),
        ("cancelled", EXPIRED, "cancelled"),
        ("failed", EXPIRED, "failed"),
        ("cancelled", OrderFacts(payment=payment(PaymentStatus.CANCELLED)), "cancelled"),
        ("expired", OrderFacts(payment=payment(PaymentStatus.CANCELLED)), "expired"),
        ("created", OrderFacts(payment=payment(PaymentStatus.CANCELLED)), "failed"),
    ],
)
def test_what_ended_an_order_stays_and_what_may_still_come_is_awaited(
    before: str, facts: OrderFacts, state: str
) -> None:
    assert look(order(state=OrderState(before)), facts).order.state == state


def test_a_code_that_is_typed_at_an_open_checkout_is_no_mismatch() -> None:
    open_with_code = session(SessionStatus.OPEN, total_minor=6_000, discount_minor=1_490)
    assert look(order(), OrderFacts(session=open_with_code, payment=payment(PaymentStatus.OWED))).order.state == "open"


def test_a_payment_of_another_mode_is_quarantined_also_without_a_checkout() -> None:
    after = look(order(), OrderFacts(payment=payment(livemode=True))).order
    assert (after.state, after.quarantine_reason) == (OrderState.QUARANTINED, "mode")


def test_a_quarantined_order_that_is_right_after_all_is_paid_without_a_reason() -> None:
    after = look(order(state=OrderState.QUARANTINED, quarantine_reason="amount"), PAID).order
    assert (after.state, after.quarantine_reason) == (OrderState.PAID, None)


def test_a_refund_that_takes_no_whole_token_has_no_revision() -> None:
    first = look(look(order(tokens=3), PAID).order, replace(PAID, refunds=(refund(1, 100),)))
    assert (first.order.revision, first.order.refunded_minor, first.events) == (0, 100, ())
    (event,) = look(first.order, replace(PAID, refunds=(refund(1, 100), refund(2, 7_390)))).events
    assert (event.revision, event.tokens) == (1, 3)  # type: ignore[union-attr]  # a revocation


def test_a_subscription_s_order_that_fails_says_nothing_of_credits() -> None:
    plan = order(kind=OrderKind.SUBSCRIPTION, package_id="basic")
    failed = look(look(plan, BOLETO_ISSUED).order, BOLETO_RAN_OUT)
    assert (failed.order.state, failed.events) == (OrderState.FAILED, ())
