"""What Stripe has and what stands here agree, or the difference is said in words."""

from datetime import UTC, datetime

import pytest
from billing.domain.facts import RefundFacts, SessionFacts, SessionStatus
from billing.domain.orders import Order, OrderKind, OrderState
from billing.domain.reconciliation import DifferenceKind, agrees, checkout_difference, part_difference
from msgspec import structs

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
PAID_THERE = SessionFacts(
    id="cs_1",
    order_id="ord_1",
    status=SessionStatus.COMPLETE,
    is_paid=True,
    subtotal_minor=7490,
    total_minor=7000,
    discount_minor=490,
    tax_minor=0,
    currency="brl",
    livemode=False,
    expires_at=NOW,
)
UNPAID_THERE = structs.replace(PAID_THERE, status=SessionStatus.EXPIRED, is_paid=False)
PAID = Order(
    id="ord_1",
    kind=OrderKind.PACKAGE,
    state=OrderState.PAID,
    account_id="ana",
    tokens=5,
    amount_minor=7490,
    paid_minor=7000,
    currency="brl",
    session_id="cs_1",
    created_at=NOW,
    changed_at=NOW,
    paid_at=NOW,
)
UNPAID = structs.replace(PAID, state=OrderState.EXPIRED, paid_at=None, paid_minor=None)
QUARANTINED = structs.replace(UNPAID, state=OrderState.QUARANTINED, quarantine_reason="amount")
REFUND = RefundFacts(id="re_1", amount_minor=7000, currency="brl", status="succeeded", created_at=NOW)


@pytest.mark.parametrize(
    ("session", "order", "refunds", "kind"),
    [
        (PAID_THERE, PAID, (), None),
        (UNPAID_THERE, UNPAID, (), None),
        (UNPAID_THERE, None, (), None),
        (PAID_THERE, None, (), DifferenceKind.PAID_UNKNOWN_ORDER),
        (PAID_THERE, UNPAID, (), DifferenceKind.PAID_THERE_ALONE),
        (UNPAID_THERE, PAID, (), DifferenceKind.PAID_HERE_ALONE),
        (structs.replace(PAID_THERE, id="cs_2"), PAID, (), DifferenceKind.PAID_TWICE),
        (structs.replace(UNPAID_THERE, id="cs_2"), PAID, (), None),
        (structs.replace(PAID_THERE, total_minor=7001), PAID, (), DifferenceKind.AMOUNT),
        (structs.replace(PAID_THERE, subtotal_minor=1), PAID, (), DifferenceKind.AMOUNT),
        (structs.replace(PAID_THERE, currency="usd"), PAID, (), DifferenceKind.AMOUNT),
        (PAID_THERE, QUARANTINED, (), DifferenceKind.QUARANTINED),
        (PAID_THERE, QUARANTINED, (structs.replace(REFUND, status="failed"),), DifferenceKind.QUARANTINED),
        (PAID_THERE, QUARANTINED, (REFUND,), None),
    ],
)
def test_a_checkout_and_its_order(
    session: SessionFacts, order: Order | None, refunds: tuple[RefundFacts, ...], kind: DifferenceKind | None
) -> None:
    found = checkout_difference(session, order, refunds)
    assert (found and found.difference) == kind


def test_what_agrees_needs_no_look() -> None:
    assert agrees(PAID_THERE, PAID)
    assert agrees(UNPAID_THERE, UNPAID)
    assert not agrees(PAID_THERE, UNPAID)
    assert not agrees(UNPAID_THERE, structs.replace(UNPAID, state=OrderState.OPEN))
    assert not agrees(structs.replace(PAID_THERE, total_minor=1), PAID)


def test_a_refund_and_what_stands_here_of_it() -> None:
    assert part_difference(REFUND, [REFUND], "ord_1", DifferenceKind.REFUND) is None
    for stored in ([], [structs.replace(REFUND, status="pending")], [structs.replace(REFUND, amount_minor=1)]):
        assert part_difference(REFUND, stored, "ord_1", DifferenceKind.REFUND) is not None
