"""A look at a subscription is stopped before and after each of its steps: whoever looks next makes it whole."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

import httpx
import pytest
import pytest_asyncio
from billing.application import subscriptions as application
from billing.application.subscriptions import SubscriptionLooks
from billing.application.wiring import orders_of, stripe_of, subscriptions_of
from billing.domain.plan_prices import PlanPrices
from billing.domain.subscription_facts import SubscriptionFacts
from billing.stripe_api.client import StripeApi
from billing.stripe_api.subscriptions import fetch_subscription
from chassis.postgres import create_engine, disposed

from tests.support.billing import BillingStage, running_billing, settings_for
from tests.support.billing_cuts import Cutting, moments
from tests.support.billing_plans import subscribe
from tests.support.demo_stripe import start_demo_stripe

STEPS = (
    *("load_subscription", "fetch_subscription", "insert_subscription", "load_rivals", "write_look"),
    *("void_invoice", "cancel_subscription", "refund_invoice"),
)
AT_ONCE = 16
"""Accounts that are made ready together."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Subscriptions that were paid while nothing of billing runs, and what looks at them when the test says so."""

    stage: BillingStage
    looks: SubscriptionLooks

    async def buy(self, accounts: Sequence[str], *plans: str) -> dict[str, list[str]]:
        """Paid subscriptions of each, as if each Checkout was shown by a process that knew of no other."""
        begun: dict[str, list[str]] = {account: [] for account in accounts}
        async with running_billing(self.stage.settings):
            for plan in plans:
                for account in accounts:
                    begun[account].append((await subscribe(self.stage, account, plan))["checkout_url"])
                await self.stage.rows("UPDATE billing.orders SET slot = NULL")
        pay = self.stage.stripe.pay
        return {account: [str((await pay(url))["subscription"]) for url in urls] for account, urls in begun.items()}

    async def said(self, account: str) -> list[str]:
        rows = await self.stage.rows("SELECT name FROM billing.outbox WHERE account_id = $1 ORDER BY position", account)
        return [str(row["name"]) for row in rows]


@pytest_asyncio.fixture
async def bench(own_url: str, nats_url: str) -> AsyncIterator[Bench]:
    async with contextlib.AsyncExitStack() as stack:
        demo = await stack.enter_async_context(start_demo_stripe())
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False))
        settings = settings_for(own_url, nats_url, demo.url)
        engine = create_engine(own_url, service="billing")
        await stack.enter_async_context(disposed(engine))
        stripe = stripe_of(settings)
        assert stripe is not None
        await stack.enter_async_context(stripe)
        looks = subscriptions_of(settings, orders_of(settings, engine, stripe), stripe)
        yield Bench(stage=BillingStage(settings=settings, stripe=demo, http=http), looks=looks)


async def test_a_first_look_stopped_anywhere_gives_one_plan(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    cutting = Cutting(monkeypatch, application, *STEPS)
    ready: dict[str, list[str]] = {}
    cuts = 0
    for moment in moments():
        account = f"start-{moment}"
        if moment % AT_ONCE == 0:
            ready = await bench.buy([f"start-{each}" for each in range(moment, moment + AT_ONCE)], "basic")
        (subscription,) = ready[account]
        was_cut = await cutting.cut_at(moment, partial(bench.looks.look_anew, subscription, who="test"))
        for _ in range(2):
            found = await bench.looks.look_anew(subscription, who="test")
            assert found.given is not None
        assert await bench.said(account) == ["billing.plan_subscribed"]
        if not was_cut:
            break
        cuts += 1
    assert cuts >= 10


async def test_looks_at_two_paid_ones_stopped_anywhere_give_one_plan_and_one_refund(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cutting = Cutting(monkeypatch, application, *STEPS)
    client = bench.stage.stripe.client.v1
    ready: dict[str, list[str]] = {}
    cuts = 0
    for moment in moments():
        account = f"two-{moment}"
        if moment % AT_ONCE == 0:
            ready = await bench.buy([f"two-{each}" for each in range(moment, moment + AT_ONCE)], "basic", "pro")
        first, second = ready[account]
        await bench.looks.look_anew(first, who="test")
        was_cut = await cutting.cut_at(moment, partial(bench.looks.look_anew, second, who="test"))
        for each in (second, first, second):
            await bench.looks.look_anew(each, who="test")
        assert await bench.said(account) == ["billing.plan_subscribed"]
        assert (await client.subscriptions.retrieve_async(second)).status == "canceled"
        invoices = (await client.invoices.list_async({"subscription": second, "expand": ["data.payments"]})).data
        payments = invoices[0].payments
        assert payments is not None
        intent = str(payments.data[0].payment.payment_intent)
        refunds = (await client.refunds.list_async({"payment_intent": intent})).data
        assert [each.amount for each in refunds] == [18_490]
        if not was_cut:
            break
        cuts += 1
    assert cuts >= 14


async def test_whoever_wakes_up_with_old_facts_writes_none_of_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen between asking and writing, while a part was refunded and another one wrote that down."""
    (subscription,) = (await bench.buy(["frozen"], "basic"))["frozen"]
    await bench.looks.look_anew(subscription, who="test")
    stripe = bench.stage.stripe.client.v1
    (payment,) = (await stripe.payment_intents.list_async()).data
    is_frozen = True

    async def fetch_and_freeze(api: StripeApi, subscription_id: str, prices: PlanPrices) -> SubscriptionFacts:
        nonlocal is_frozen
        facts = await fetch_subscription(api, subscription_id, prices)
        if is_frozen:
            is_frozen = False
            await stripe.refunds.create_async({"payment_intent": payment.id, "amount": 1_000})
            await bench.looks.look_anew(subscription, who="another")
        return facts

    monkeypatch.setattr(application, "fetch_subscription", fetch_and_freeze)
    await bench.looks.look_anew(subscription, who="test")
    (invoice,) = await bench.stage.rows("SELECT refunded_minor FROM billing.subscription_invoices")
    assert invoice["refunded_minor"] == 1_000
