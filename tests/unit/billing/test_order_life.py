"""One sentence says where the tokens are, and what to do where something is to be done."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from billing.domain.facts import RefundFacts
from billing.domain.order_life import AtStripe, Credited, OrderLife, Received, Said, verdict
from billing.domain.orders import Order, OrderKind, OrderState
from msgspec import structs

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
OPEN = Order(
    id="o-1",
    kind=OrderKind.PACKAGE,
    state=OrderState.OPEN,
    account_id="ana",
    package_id="small",
    tokens=500_000,
    amount_minor=7490,
    currency="brl",
    session_expires_at=NOW,
    created_at=NOW,
    changed_at=NOW,
)
PAID = structs.replace(OPEN, state=OrderState.PAID, paid_at=NOW, paid_minor=7490)
SUBSCRIBED = structs.replace(PAID, kind=OrderKind.SUBSCRIPTION, plan="pro", tokens=0)
PAID_THERE = AtStripe(is_paid=True, status="complete, paid")
GRANTED = Credited(event_id="e-9", type="ledger.credits_granted", recorded_at=NOW, tokens=500_000)
TAKEN = replace(GRANTED, type="ledger.credits_revoked", tokens=7)


def _refund(status: str, *, minutes: int = 0) -> RefundFacts:
    created_at = NOW + timedelta(minutes=minutes)
    return RefundFacts(id=f"re_{minutes}", amount_minor=7, currency="brl", status=status, created_at=created_at)


def _said(name: str = "credits_purchased", *, is_published: bool = True) -> list[Said]:
    return [Said(event_id="e-1", name=f"billing.{name}", recorded_at=NOW, is_published=is_published)]


def _received(status: str) -> list[Received]:
    return [
        Received(
            event_id="evt_1",
            type="checkout.session.completed",
            happened_at=NOW,
            received_at=NOW,
            status=status,
            outcome=None,
            last_error=None,
        )
    ]


def _in(state: OrderState) -> Order:
    return structs.replace(OPEN, state=state)


@pytest.mark.parametrize(
    ("life", "told"),
    [
        (
            OrderLife(order=PAID, said=_said(), credited=[GRANTED]),
            "paid at 2026-11-26 12:00:00 UTC, credited at 2026-11-26 12:00:00 UTC: 500000 tokens",
        ),
        (
            OrderLife(
                order=structs.replace(PAID, revoked_tokens=7, refunded_minor=1), said=_said(), credited=[GRANTED]
            ),
            "500000 tokens; 7 of them taken back (refunded 1 brl)",
        ),
        (
            OrderLife(order=PAID, said=_said(), credited=[GRANTED], refunds=[_refund("pending")]),
            "a refund of 7 brl is not through yet (pending): tokens are taken back once the money has left",
        ),
        (
            OrderLife(order=PAID, said=_said(), credited=[GRANTED], refunds=[_refund("failed")]),
            "a refund of 7 brl failed: send the money another way, or make refund again",
        ),
        (OrderLife(order=PAID, said=_said(is_published=False), credited=[]), "not yet told to the ledger"),
        (OrderLife(order=PAID, said=_said(), credited=[]), "told to the ledger and not credited yet"),
        (OrderLife(order=PAID, said=_said(), credited=None), "can't be read from here"),
        (
            OrderLife(order=PAID, said=_said(), credited=[], waiting_letters=["ledger:3"]),
            "the ledger gave up on it: make dead-letters",
        ),
        (OrderLife(order=PAID), "never told to the ledger: run make billing-sync"),
        (OrderLife(order=PAID, said=_said(), credited=[GRANTED], noted=["paid", "paid_twice"]), "it was paid twice"),
        (OrderLife(order=PAID, is_all_said_kept=False), "so long ago that what was told"),
        (OrderLife(order=PAID, credited=[GRANTED], is_all_said_kept=False), "credited at 2026-11-26 12:00:00 UTC"),
        (OrderLife(order=SUBSCRIBED, is_all_said_kept=False), "so long ago that what was told"),
        (
            OrderLife(
                order=structs.replace(PAID, is_frozen=True, revoked_tokens=500_000), said=_said(), credited=[GRANTED]
            ),
            "frozen by a warning of fraud); if you know the buyer: make unfreeze ORDER=o-1 REASON=…",
        ),
        (OrderLife(order=OPEN, at_stripe=PAID_THERE), "paid at Stripe, webhook not received: run make billing-sync"),
        (
            OrderLife(order=OPEN, at_stripe=PAID_THERE, received=_received("handled")),
            "webhook not received: run make billing-sync",
        ),
        (OrderLife(order=OPEN, at_stripe=PAID_THERE, received=_received("waiting")), "not handled yet"),
        (OrderLife(order=OPEN, at_stripe=PAID_THERE, received=_received("given_up")), "make dead-letters-retry"),
        (OrderLife(order=_in(OrderState.EXPIRED), at_stripe=PAID_THERE), "run make billing-sync"),
        (OrderLife(order=OPEN), "not paid: the Checkout is open until 2026-11-26 12:00:00 UTC"),
        (
            OrderLife(order=OPEN, at_stripe=AtStripe(is_paid=False, status="x", failure="card_declined")),
            "not paid: the last attempt was declined (card_declined); the Checkout is open until",
        ),
        (
            OrderLife(order=OPEN, at_stripe=AtStripe(is_paid=None, status="Stripe does not answer just now")),
            "Stripe does not answer just now; by what is known here: not paid",
        ),
        (
            OrderLife(order=PAID, said=_said(), credited=[replace(GRANTED, debt_repaid=9)]),
            "9 of which repaid a debt; what is left, and whether the account may use it: make balance ACCOUNT=ana",
        ),
        (
            OrderLife(order=PAID, said=_said(), credited=[GRANTED, TAKEN]),
            "; 7 of them revoked in the ledger (make lots); what is left",
        ),
        (
            OrderLife(
                order=structs.replace(PAID, refunded_minor=1, revoked_tokens=7),
                said=_said(),
                credited=[GRANTED, TAKEN],
            ),
            "; 7 of them taken back (refunded 1 brl); what is left",
        ),
        (
            OrderLife(
                order=structs.replace(PAID, disputed_minor=7490, revoked_tokens=500_000),
                said=_said(),
                credited=[GRANTED],
            ),
            "(disputed 7490 brl); answer the dispute in Stripe's Dashboard",
        ),
        (
            OrderLife(order=SUBSCRIBED, said=[*_said("plan_subscribed"), *_said("renewal_failed")]),
            "its renewal is not paid",
        ),
        (OrderLife(order=_in(OrderState.CREATED)), "no Checkout was made"),
        (OrderLife(order=_in(OrderState.PENDING)), "a Pix or boleto was issued"),
        (OrderLife(order=_in(OrderState.FAILED)), "no money was taken"),
        (OrderLife(order=_in(OrderState.EXPIRED)), "ended before anybody paid"),
        (OrderLife(order=_in(OrderState.CANCELLED)), "was cancelled"),
        (OrderLife(order=_in(OrderState.AWAITING_APPROVAL)), "make approve ORDER=o-1"),
        (
            OrderLife(order=structs.replace(_in(OrderState.QUARANTINED), quarantine_reason="amount")),
            "quarantined, not credited: Stripe asks for another amount than was ordered; look",
        ),
        (OrderLife(order=SUBSCRIBED), "the plan pro never told to the ledger: run make billing-sync"),
        (OrderLife(order=SUBSCRIBED, said=_said("plan_subscribed")), "its plan told to the ledger at"),
        (OrderLife(order=SUBSCRIBED, said=_said("plan_subscribed", is_published=False)), "not yet told to the ledger"),
        (
            OrderLife(order=SUBSCRIBED, said=_said("plan_subscribed"), waiting_letters=["ledger:1"]),
            "gave up on its plan",
        ),
        (OrderLife(order=SUBSCRIBED, said=[*_said("plan_subscribed"), *_said("plan_ended")]), "its plan has ended"),
    ],
)
def test_the_verdict_says_what_is_so_and_what_to_do(life: OrderLife, told: str) -> None:
    sentence = verdict(life)
    assert told in sentence
    assert "\n" not in sentence


def test_a_refund_that_failed_is_not_told_any_more_once_another_one_went_through() -> None:
    life = OrderLife(
        order=PAID, said=_said(), credited=[GRANTED], refunds=[_refund("failed"), _refund("succeeded", minutes=5)]
    )
    assert "refund" not in verdict(life)
