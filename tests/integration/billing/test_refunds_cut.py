"""A refund that an operator asks for is stopped anywhere: the sweep takes back what was given back, and no more."""

from contextlib import AsyncExitStack

import pytest
from billing.application import refunding as application
from billing.application.refunding import Refunding
from billing.application.wiring import orders_of, stripe_of
from chassis.postgres import create_engine, disposed

from tests.support.billing import BillingStage
from tests.support.billing_cuts import Cutting, moments

TOKENS = 500_000
STEPS = ("note", "look_later", "create_refund", "name_refund")


async def test_a_refund_stopped_anywhere_is_followed_by_the_sweep_and_made_once(
    stage: BillingStage, closing: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(stage.settings.database_url, service="billing")
    await closing.enter_async_context(disposed(engine))
    stripe = stripe_of(stage.settings)
    assert stripe is not None
    await closing.enter_async_context(stripe)
    refunding = Refunding(engine=engine, stripe=stripe, looks=orders_of(stage.settings, engine, stripe))
    cutting = Cutting(monkeypatch, application, *STEPS)
    made_before_the_end = 0
    for moment in moments():
        account = f"cut-{moment}"
        await stage.stripe.deliveries("normal")
        bought = await stage.buy(account)
        payment = await stage.stripe.pay(bought["checkout_url"])
        await stage.has_in_books(account, granted=TOKENS)
        await stage.all_handled(bought["order_id"])
        await stage.stripe.deliveries("drop")

        async def refund() -> None:
            await refunding.refund(bought["order_id"], None, by="operator:me", reason="r")  # noqa: B023  at once

        was_cut = await cutting.cut_at(moment, refund)
        refunds = await stage.stripe.client.v1.refunds.list_async({"payment_intent": payment["payment_intent"]})
        due = "UPDATE billing.orders SET look_due_at = now() WHERE id = $1 AND look_due_at IS NOT NULL RETURNING id"
        await stage.rows(due, bought["order_id"])
        await stage.has_in_books(account, granted=TOKENS, revoked=TOKENS if refunds.data else 0)
        made_before_the_end += was_cut and bool(refunds.data)
        if not refunds.data:
            await refund()
            await stage.has_in_books(account, granted=TOKENS, revoked=TOKENS)
        if not was_cut:
            break
    assert made_before_the_end >= 2
