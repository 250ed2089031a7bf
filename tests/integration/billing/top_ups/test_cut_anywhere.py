"""A purchase by auto top-up is stopped before and after each of its steps: one payment, one order, nothing lost."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

import httpx
import pytest
import pytest_asyncio
from billing.application import top_ups as application
from billing.application.looking import OrderLooks
from billing.application.offers import load_offers
from billing.application.top_ups import TopUps
from billing.application.wiring import orders_of, stripe_of
from billing.domain.top_ups import Left
from chassis.postgres import create_engine, disposed

from tests.support.billing import BillingStage, running_billing, settings_for
from tests.support.billing_cuts import Cutting, moments
from tests.support.billing_top_ups import orders_of as top_ups_of
from tests.support.billing_top_ups import payments_of, put_top_up, saves_a_card
from tests.support.demo_stripe import start_demo_stripe

STEPS = (
    *("load_top_up", "find_unfinished_order", "load_orders_so_far", "load_customer", "newest_card", "begin_purchase"),
    *("charge_card", "cancel_payment", "find_payment", "fetch_payment", "note_once", "pause"),
)
AT_ONCE = 16
"""Accounts that are made ready together."""


class Bench:
    """Accounts with auto top-up and nothing left, while nothing of billing runs."""

    def __init__(self, stage: BillingStage, top_ups: TopUps) -> None:
        self.stage, self.top_ups = stage, top_ups

    async def low(self, accounts: Sequence[str]) -> None:
        async with running_billing(self.stage.settings):
            for account in accounts:
                await saves_a_card(self.stage, account)
                assert (await put_top_up(self.stage, account)).status_code == 200
            # What runs meanwhile has no ledger to ask, and leaves it.


@pytest_asyncio.fixture
async def bench(migrated_url: str, nats_url: str) -> AsyncIterator[Bench]:
    async with contextlib.AsyncExitStack() as stack:
        demo = await stack.enter_async_context(start_demo_stripe())
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False))
        settings = settings_for(migrated_url, nats_url, demo.url)
        engine = create_engine(migrated_url, service="billing")
        await stack.enter_async_context(disposed(engine))
        stripe = stripe_of(settings)
        assert stripe is not None
        await stack.enter_async_context(stripe)

        async def nothing_left(_: str) -> Left:
            return Left(tokens=0, is_active=True)

        top_ups = TopUps(
            engine=engine,
            stripe=stripe,
            orders=orders_of(settings, engine, stripe),
            offers=load_offers(settings.catalog),
            fetch_left=nothing_left,
            zone=ZoneInfo("America/Sao_Paulo"),
            cool_down=timedelta(hours=1),
            livemode=False,
        )
        yield Bench(BillingStage(settings=settings, stripe=demo, http=http), top_ups)


@pytest.mark.parametrize(
    ("cards", "states", "payments"), [("ok", ["paid"], ["succeeded"]), ("declined", ["failed"], ["canceled"])]
)
async def test_a_purchase_stopped_anywhere_is_made_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, cards: str, states: list[str], payments: list[str]
) -> None:
    cutting = Cutting(monkeypatch, application, *STEPS).also(monkeypatch, OrderLooks, "look_anew", "store")
    cuts = 0
    for moment in moments():
        account = f"{cards}-{moment}"
        if moment % AT_ONCE == 0:
            await bench.stage.stripe.cards("ok", times=100)
            await bench.low([f"{cards}-{each}" for each in range(moment, moment + AT_ONCE)])
            await bench.stage.stripe.cards(cards, times=100)
        was_cut = await cutting.cut_at(moment, partial(bench.top_ups.look_anew, account))
        for _ in range(3):
            await bench.top_ups.look_anew(account)
        assert [each["state"] for each in await top_ups_of(bench.stage, account)] == states
        assert await payments_of(bench.stage, account) == payments
        said = await bench.stage.rows("SELECT name FROM billing.outbox WHERE account_id = $1", account)
        assert [each["name"] for each in said] == [
            "billing.credits_purchased" if cards == "ok" else "billing.payment_failed"
        ]
        if not was_cut:
            break
        cuts += 1
    assert cuts >= 15
