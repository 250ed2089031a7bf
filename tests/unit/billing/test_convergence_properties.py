"""Whatever was seen before, and in whatever order, what is granted and taken back ends as the last facts have it."""

from fractions import Fraction
from math import floor

from billing.domain.facts import OrderFacts, PaymentStatus, SessionStatus
from billing.domain.orders import OrderState
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.billing.story import Books, dispute, fraud_warning, look, order, payment, refund, session

TOKENS = st.integers(1, 10**9)
PRICES = st.integers(1, 99_999_999)
REFUND_STATUSES = st.sampled_from(["succeeded", "succeeded", "succeeded", "pending", "failed", "canceled"])
DISPUTES = st.sampled_from(
    [("needs_response", True), ("under_review", True), ("lost", True), ("won", False), ("warning_under_review", False)]
)


@st.composite
def facts_of(draw: st.DrawFn, price: int) -> OrderFacts:
    """Any moment in the life of one order's payment; more may be asked back than was paid."""
    if draw(st.integers(0, 3)) == 0:
        unpaid = draw(st.sampled_from(list(SessionStatus)))
        paying = draw(st.sampled_from([None, PaymentStatus.OWED, PaymentStatus.AWAITED, PaymentStatus.CANCELLED]))
        return OrderFacts(
            session=session(unpaid, is_paid=False, subtotal_minor=price, total_minor=price),
            payment=None if paying is None else payment(paying, amount_minor=price, has_failed=draw(st.booleans())),
        )
    discount = draw(st.integers(0, price))
    total = price - discount
    parts = st.integers(1, max(1, total))
    refunds = draw(st.lists(st.tuples(parts, REFUND_STATUSES), max_size=6))
    disputes = draw(st.lists(st.tuples(parts, DISPUTES), max_size=2))
    return OrderFacts(
        session=session(
            subtotal_minor=price,
            total_minor=total,
            discount_minor=discount,
            payment_intent_id="pi_1" if total else None,
        ),
        payment=payment(amount_minor=total, received_minor=total) if total else None,
        refunds=tuple(refund(number, amount, status) for number, (amount, status) in enumerate(refunds))
        if total
        else (),
        disputes=tuple(
            dispute(number, amount, status, is_withdrawn=withdrawn)
            for number, (amount, (status, withdrawn)) in enumerate(disputes)
        )
        if total
        else (),
        fraud_warnings=(fraud_warning(1),) if total and draw(st.integers(0, 9)) == 0 else (),
    )


def _expected_revoked(tokens: int, paid: int, facts: OrderFacts) -> int:
    """The rule said once more, by another way of reckoning."""
    if facts.fraud_warnings and all(each.status != "won" for each in facts.disputes):
        return tokens
    if paid == 0:
        return 0
    back = Fraction(0)
    for each in facts.refunds:
        back += each.amount_minor if each.status == "succeeded" else 0
    for disputed in facts.disputes:
        back += disputed.amount_minor if disputed.is_withdrawn else 0
    return min(tokens, floor(tokens * back / paid))


@given(st.data(), TOKENS, PRICES)
def test_any_history_of_facts_in_any_order_ends_as_the_last_facts_have_it(
    data: st.DataObject, tokens: int, price: int
) -> None:
    at, books = order(tokens=tokens, amount_minor=price), Books()
    seen = data.draw(st.lists(facts_of(price), min_size=1, max_size=8))
    was_paid, expected = False, 0
    for facts in seen:
        converged = look(at, facts)
        assert converged.order.state is OrderState.PAID or not was_paid, "a paid order never goes back"
        was_paid = converged.order.state is OrderState.PAID
        at = converged.order
        if facts.payment is not None and facts.payment.status is PaymentStatus.SUCCEEDED:
            expected = _expected_revoked(tokens, at.paid_minor or 0, facts)
        books.hear(converged)
        assert books.granted == (tokens if was_paid else 0)
        assert 0 <= books.revoked == at.revoked_tokens == expected <= books.granted
    assert books.revisions == list(range(1, len(books.revisions) + 1))


@given(TOKENS, PRICES, st.data())
def test_partial_refunds_in_any_number_take_exactly_what_was_bought(
    tokens: int, price: int, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, price), max_size=12)))
    parts = [end - start for start, end in zip([0, *cuts], [*cuts, price], strict=True) if end > start]
    paid = OrderFacts(
        session=session(subtotal_minor=price, total_minor=price),
        payment=payment(amount_minor=price, received_minor=price),
    )
    first = look(order(tokens=tokens, amount_minor=price), paid)
    at, books = first.order, Books()
    books.hear(first)
    for number in range(1, len(parts) + 1):
        refunds = tuple(refund(each, amount) for each, amount in enumerate(parts[:number]))
        converged = look(at, OrderFacts(session=paid.session, payment=paid.payment, refunds=refunds))
        books.hear(converged)
        at = converged.order
    assert books.granted == books.revoked == tokens
