"""An order's state, and what is said of it, follow from the facts alone."""

from datetime import timedelta

import pytest
from billing.domain.facts import DisputeFacts, FraudWarningFacts, OrderFacts, PaymentStatus, RefundFacts, SessionStatus
from billing.domain.orders import OrderKind, OrderState
from contracts.events.billing import (
    CreditsPurchased,
    OrderSource,
    PaymentFailed,
    PurchaseRestored,
    PurchaseRevoked,
    TakenBackFor,
)
from msgspec import structs

from tests.unit.billing.story import (
    NOW,
    PAID,
    dispute,
    fraud_warning,
    look,
    order,
    payment,
    refund,
    session,
)


def _with(
    *,
    refunds: tuple[RefundFacts, ...] = (),
    disputes: tuple[DisputeFacts, ...] = (),
    warnings: tuple[FraudWarningFacts, ...] = (),
) -> OrderFacts:
    return OrderFacts(
        session=session(),
        payment=payment(),
        refunds=refunds,
        disputes=disputes,
        fraud_warnings=warnings,
    )


OPEN = OrderFacts(session=session(SessionStatus.OPEN))
BOLETO_ISSUED = OrderFacts(session=session(is_paid=False), payment=payment(PaymentStatus.AWAITED))
BOLETO_RAN_OUT = OrderFacts(session=session(is_paid=False), payment=payment(PaymentStatus.OWED, has_failed=True))
EXPIRED = OrderFacts(session=session(SessionStatus.EXPIRED))


def test_a_warning_that_a_person_lifts_gives_back_and_takes_no_more_and_a_dispute_still_does() -> None:
    warned = _with(refunds=(refund(1, 749),), warnings=(fraud_warning(1),))
    frozen = look(look(order(), PAID).order, warned).order
    trusted = look(structs.replace(frozen, is_trusted=True), warned)
    (event,) = trusted.events
    assert isinstance(event, PurchaseRestored)
    assert (event.tokens, event.cause) == (450_000, TakenBackFor.FRAUD_WARNING)
    assert (trusted.order.is_frozen, trusted.order.revoked_tokens) == (False, 50_000)
    lost = _with(warnings=(fraud_warning(1),), disputes=(dispute(2, 7_490, "lost", is_withdrawn=True),))
    assert look(trusted.order, lost).order.revoked_tokens == 500_000


def test_what_is_awaited_for_longer_than_anything_settles_has_expired_and_counts_should_it_come() -> None:
    awaited = order(state=OrderState.PENDING, created_at=NOW - timedelta(days=31))
    expired = look(awaited, BOLETO_ISSUED)
    assert (expired.order.state, expired.events) == (OrderState.EXPIRED, ())
    assert look(expired.order, BOLETO_ISSUED).changes == ()
    assert look(expired.order, PAID).order.state is OrderState.PAID


def test_a_paid_order_gives_its_credits_once() -> None:
    paid = look(order(), PAID)
    assert paid.order.state is OrderState.PAID
    assert paid.events == (
        CreditsPurchased(
            order_id="ord_1",
            tokens=500_000,
            amount_minor=7_490,
            currency="brl",
            source=OrderSource.PACKAGE,
            package_id="small",
        ),
    )


def test_who_pays_for_another_is_named_beside_them() -> None:
    (event,) = look(order(payer_id="company"), PAID).events
    assert isinstance(event, CreditsPurchased)
    assert event.payer_id == "company"


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (OPEN, OrderState.OPEN),
        (BOLETO_ISSUED, OrderState.PENDING),
        (OrderFacts(session=session(SessionStatus.OPEN), payment=payment(PaymentStatus.AWAITED)), OrderState.PENDING),
        (OrderFacts(session=session(is_paid=False)), OrderState.PENDING),
        (OrderFacts(session=session(is_paid=False, is_lapsed=True)), OrderState.FAILED),
        (BOLETO_RAN_OUT, OrderState.FAILED),
        (OrderFacts(session=session(is_paid=False), payment=payment(PaymentStatus.CANCELLED)), OrderState.FAILED),
        (EXPIRED, OrderState.EXPIRED),
        (
            OrderFacts(session=session(SessionStatus.OPEN), payment=payment(PaymentStatus.OWED, has_failed=True)),
            OrderState.OPEN,
        ),
        (OrderFacts(), OrderState.CREATED),
    ],
)
def test_complete_is_not_paid_and_declined_is_not_over(facts: OrderFacts, state: OrderState) -> None:
    converged = look(order(), facts)
    assert converged.order.state is state
    assert not any(isinstance(event, CreditsPurchased) for event in converged.events)


def test_a_boleto_that_nobody_paid_is_told_once() -> None:
    failed = look(look(order(), BOLETO_ISSUED).order, BOLETO_RAN_OUT)
    assert [type(event) for event in failed.events] == [PaymentFailed]


@pytest.mark.parametrize("before", [OPEN, BOLETO_ISSUED, BOLETO_RAN_OUT, EXPIRED])
def test_a_late_payment_still_credits(before: OrderFacts) -> None:
    paid = look(look(order(), before).order, PAID)
    assert paid.order.state is OrderState.PAID
    assert [type(event) for event in paid.events] == [CreditsPurchased]


@pytest.mark.parametrize("later", [OPEN, BOLETO_ISSUED, BOLETO_RAN_OUT, EXPIRED, OrderFacts()])
def test_a_paid_order_never_goes_back(later: OrderFacts) -> None:
    after = look(look(order(), PAID).order, later)
    assert after.order.state is OrderState.PAID
    assert after.events == ()


def test_an_order_that_cost_nothing_still_credits() -> None:
    free = session(total_minor=0, discount_minor=7_490, payment_intent_id=None)
    paid = look(order(), OrderFacts(session=free))
    (event,) = paid.events
    assert isinstance(event, CreditsPurchased)
    assert (event.tokens, event.amount_minor) == (500_000, 0)
    assert paid.order.discount_minor == 7_490


def test_an_order_that_cost_nothing_is_taken_back_as_a_whole_by_an_operators_record() -> None:
    free = session(total_minor=0, discount_minor=7_490, payment_intent_id=None)
    paid = look(order(), OrderFacts(session=free)).order
    back = look(paid, OrderFacts(session=free, refunds=(refund(1, 0),)))
    (event,) = back.events
    assert isinstance(event, PurchaseRevoked)
    assert (event.tokens, event.amount_minor, event.cause) == (500_000, 0, TakenBackFor.REFUND)


def test_a_discount_and_tax_are_noted_and_quarantine_nothing() -> None:
    total = 7_490 - 1_000 + 300
    facts = OrderFacts(
        session=session(total_minor=total, discount_minor=1_000, tax_minor=300),
        payment=payment(amount_minor=total, received_minor=total),
    )
    after = look(order(), facts).order
    assert (after.state, after.paid_minor, after.discount_minor, after.tax_minor) == (
        OrderState.PAID,
        total,
        1_000,
        300,
    )


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (OrderFacts(session=session(currency="usd"), payment=payment()), "currency"),
        (OrderFacts(session=session(subtotal_minor=7_489), payment=payment()), "amount"),
        (OrderFacts(session=session(subtotal_minor=749_000), payment=payment()), "amount"),
        (OrderFacts(session=session(livemode=True), payment=payment()), "mode"),
        (OrderFacts(session=session(order_id="ord_2"), payment=payment()), "other_order"),
        (OrderFacts(session=session(order_id=None), payment=payment()), "other_order"),
        (OrderFacts(session=session(), payment=payment(currency="usd")), "currency"),
        (OrderFacts(session=session(), payment=payment(received_minor=1)), "received"),
        (OrderFacts(session=session(), payment=payment(amount_minor=1)), "amount"),
        (OrderFacts(session=session(SessionStatus.OPEN, subtotal_minor=1)), "amount"),
        (OrderFacts(payment=payment(amount_minor=1, received_minor=1)), "amount"),
    ],
)
def test_what_is_not_as_it_was_ordered_is_quarantined_and_credits_nothing(facts: OrderFacts, reason: str) -> None:
    after = look(order(), facts)
    assert (after.order.state, after.order.quarantine_reason) == (OrderState.QUARANTINED, reason)
    assert after.events == ()


def test_a_quarantined_order_whose_facts_are_right_again_credits() -> None:
    quarantined = look(order(), OrderFacts(session=session(currency="usd"))).order
    assert [type(event) for event in look(quarantined, PAID).events] == [CreditsPurchased]


def test_partial_refunds_on_odd_amounts_sum_up_to_exactly_what_was_bought() -> None:
    at, revoked = look(order(tokens=500_001), PAID).order, 0
    refunds: tuple[RefundFacts, ...] = ()
    for number, amount in enumerate((1, 333, 2_499, 4_656, 1), start=1):
        refunds = (*refunds, refund(number, amount))
        converged = look(at, _with(refunds=refunds))
        at = converged.order
        revoked += sum(event.tokens for event in converged.events if isinstance(event, PurchaseRevoked))
    assert (revoked, at.revoked_tokens, at.refunded_minor) == (500_001, 500_001, 7_490)


def test_a_refund_that_was_there_before_the_purchase_was_seen_ends_at_zero() -> None:
    after = look(order(), _with(refunds=(refund(1, 7_490),)))
    purchased, revoked = after.events
    assert isinstance(purchased, CreditsPurchased)
    assert isinstance(revoked, PurchaseRevoked)
    assert purchased.tokens == revoked.tokens
    assert revoked.revision == 1


def test_a_refund_that_fails_later_gives_back() -> None:
    refunded = look(order(), _with(refunds=(refund(1, 7_490),))).order
    after = look(refunded, _with(refunds=(refund(1, 7_490, "failed"),)))
    (event,) = after.events
    assert isinstance(event, PurchaseRestored)
    assert (event.tokens, event.amount_minor, event.revision, event.cause) == (500_000, 7_490, 2, TakenBackFor.REFUND)


@pytest.mark.parametrize("status", ["pending", "requires_action", "failed", "canceled"])
def test_a_refund_that_has_not_left_takes_nothing(status: str) -> None:
    assert look(look(order(), PAID).order, _with(refunds=(refund(1, 7_490, status),))).events == ()


def test_a_dispute_takes_with_its_money_and_gives_back_when_it_is_won() -> None:
    disputed = look(
        look(order(), PAID).order, _with(disputes=(dispute(1, 7_490, "needs_response", is_withdrawn=True),))
    )
    (taken,) = disputed.events
    assert isinstance(taken, PurchaseRevoked)
    assert (taken.tokens, taken.cause, taken.reference) == (500_000, TakenBackFor.DISPUTE, "du_1")
    won = look(disputed.order, _with(disputes=(dispute(1, 7_490, "won", is_withdrawn=False),)))
    (given,) = won.events
    assert isinstance(given, PurchaseRestored)
    assert (given.tokens, given.cause) == (500_000, TakenBackFor.DISPUTE)


def test_an_inquiry_takes_nothing() -> None:
    inquiry = dispute(1, 7_490, "warning_needs_response", is_withdrawn=False)
    assert look(look(order(), PAID).order, _with(disputes=(inquiry,))).events == ()


def test_a_warning_of_fraud_takes_all_that_is_left_and_a_refund_after_it_nothing_more() -> None:
    half = look(order(), _with(refunds=(refund(1, 3_745),))).order
    frozen = look(half, _with(refunds=(refund(1, 3_745),), warnings=(fraud_warning(1),)))
    (event,) = frozen.events
    assert isinstance(event, PurchaseRevoked)
    assert (event.tokens, event.cause) == (250_000, TakenBackFor.FRAUD_WARNING)
    rest = _with(refunds=(refund(1, 3_745), refund(2, 3_745)), warnings=(fraud_warning(1),))
    assert look(frozen.order, rest).events == ()


def test_a_won_dispute_lifts_the_warning_that_came_before_it() -> None:
    frozen = look(order(), _with(warnings=(fraud_warning(1),))).order
    won = _with(warnings=(fraud_warning(1),), disputes=(dispute(2, 7_490, "won", is_withdrawn=False),))
    (event,) = look(frozen, won).events
    assert isinstance(event, PurchaseRestored)
    assert (event.tokens, event.cause) == (500_000, TakenBackFor.DISPUTE)


def test_a_payment_that_is_refunded_and_disputed_is_taken_back_once() -> None:
    both = _with(refunds=(refund(1, 7_490),), disputes=(dispute(1, 7_490, "lost", is_withdrawn=True),))
    after = look(order(), both).order
    assert after.revoked_tokens == 500_000


def test_an_order_of_a_subscription_gives_no_credits() -> None:
    wanted = order(kind=OrderKind.SUBSCRIPTION, package_id=None, plan="pro")
    paid = look(wanted, OrderFacts(session=session(payment_intent_id=None, subscription_id="sub_1")))
    assert (paid.order.state, paid.order.subscription_id, paid.events) == (OrderState.PAID, "sub_1", ())


def test_an_automatic_purchase_is_judged_by_its_payment_alone() -> None:
    wanted = order(kind=OrderKind.TOP_UP)
    assert look(wanted, OrderFacts(payment=payment(PaymentStatus.OWED))).order.state is OrderState.CREATED
    declined = look(wanted, OrderFacts(payment=payment(PaymentStatus.OWED, has_failed=True)))
    assert [type(event) for event in declined.events] == [PaymentFailed]
    assert look(declined.order, OrderFacts(payment=payment())).order.state is OrderState.PAID
