"""Killed with -9 at each step, or cut off from Postgres, NATS or Stripe meanwhile: one credit, and none lost."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from billing.application.vouchers import make_vouchers
from billing.store.vouchers import NewBatch
from chassis.postgres import create_engine, disposed

from tests.support.billing import SERVICE_KEY, BillingStage, running_billing
from tests.support.billing_kills import Doomed, Step, deliver, doomed_beside_stage, events_of, let_all_be_due
from tests.support.eventually import eventually
from tests.support.forks import Forks

TOKENS: Final = 500_000
HANDLING: Final[list[Step]] = [
    ("postgres", (b"INSERT INTO billing.webhook_events",)),
    ("postgres", (b"INSERT INTO billing.webhook_events", b"WHERE billing.orders.id = ")),
    ("stripe", (b"GET /v1/checkout/sessions/",)),
    ("stripe", (b"GET /v1/refunds",)),
    ("postgres", (b"UPDATE billing.orders SET id=",)),
    ("postgres", (b"INSERT INTO billing.order_changes",)),
    ("postgres", (b"pg_advisory_xact_lock",)),
    ("postgres", (b"INSERT INTO billing.outbox",)),
    ("postgres", (b"INSERT INTO billing.outbox", b"COMMIT")),
    ("postgres", (b"UPDATE billing.webhook_events SET status",)),
    ("nats", (b"PUB solaris.billing.credits_purchased",)),
]
"""What becomes of an event, step by step."""
PLACING: Final[list[Step]] = [
    ("postgres", (b"INSERT INTO billing.orders",)),
    ("postgres", (b"INSERT INTO billing.orders", b"COMMIT")),
    ("stripe", (b"POST /v1/customers",)),
    ("postgres", (b"INSERT INTO billing.customers",)),
    ("stripe", (b"POST /v1/checkout/sessions",)),
    ("postgres", (b"UPDATE billing.orders SET id=",)),
    ("postgres", (b"UPDATE billing.orders SET id=", b"COMMIT")),
]

REDEEMING: Final[list[Step]] = [
    ("nats", (b"PUB solaris.billing.credits_purchased",)),
    ("postgres", (b"INSERT INTO billing.redemptions",)),
    ("postgres", (b"UPDATE billing.vouchers",)),
    ("postgres", (b"UPDATE billing.vouchers", b"COMMIT")),
    ("postgres", (b"UPDATE billing.orders SET id=",)),
    ("postgres", (b"INSERT INTO billing.outbox", b"COMMIT")),
]


async def _paid_orders(stage: BillingStage, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Accounts whose order is paid at Stripe, and the event that says so, which nobody has delivered yet."""
    accounts = [f"killed-{number}" for number in range(count)]
    for account in accounts:
        await stage.stripe.pay((await stage.buy(account))["checkout_url"])
    events = await events_of(stage, "checkout.session.completed")
    return list(zip(accounts, events, strict=True))


async def test_a_worker_that_is_killed_at_each_step_of_an_event_credits_once(
    migrated_url: str, nats_url: str, forks: Forks, tmp_path: Path
) -> None:
    async with doomed_beside_stage(migrated_url, nats_url, forks, tmp_path / "billing.log") as (stage, doomed):
        async with running_billing(stage.settings):
            orders = await _paid_orders(stage, len(HANDLING))
        answered = []
        for (_, event), step in zip(orders, HANDLING, strict=True):
            answered.append(await doomed.killed_at(step, stage.http, partial(deliver, stage.http, doomed.url, event)))
        async with running_billing(stage.settings):
            await let_all_be_due(stage)
            for (_, event), was_answered in zip(orders, answered, strict=True):
                assert was_answered or await deliver(stage.http, stage.url, event)
            for account, _ in orders:
                assert (await stage.has_in_books(account, granted=TOKENS)).purchases == 1
            await stage.all_handled()


async def test_a_purchase_that_is_killed_at_each_step_is_begun_once(
    migrated_url: str, nats_url: str, forks: Forks, tmp_path: Path
) -> None:
    async with doomed_beside_stage(migrated_url, nats_url, forks, tmp_path / "billing.log") as (stage, doomed):
        asking = replace(stage, settings=doomed.settings)
        accounts = [f"begun-{number}" for number in range(len(PLACING))]
        for account, step in zip(accounts, PLACING, strict=True):
            await doomed.killed_at(step, stage.http, partial(_unanswered, asking, account))
        async with running_billing(doomed.settings):
            bought = [await asking.buy(account) for account in accounts]
            for account, each in zip(accounts, bought, strict=True):
                orders = await stage.rows("SELECT id FROM billing.orders WHERE account_id = $1", account)
                assert orders == [{"id": each["order_id"]}]
                await stage.stripe.pay(each["checkout_url"])
            visits = (eventually(partial(_is_paid_when_visited, asking, each["order_id"]), 20.0) for each in bought)
            await asyncio.gather(*visits)
            for account in accounts:
                await stage.has_in_books(account, granted=TOKENS)
        sessions = await stage.stripe.client.v1.checkout.sessions.list_async({"limit": 100})
        wanted = [each.client_reference_id async for each in sessions.auto_paging_iter()]
        assert len(wanted) == len(set(wanted)), "one Checkout an order"


async def _unanswered(asking: BillingStage, account_id: str) -> None:
    with pytest.raises(httpx.TransportError):
        await asking.buy(account_id)


async def test_a_code_that_is_killed_at_each_step_of_a_use_credits_each_account_once(
    migrated_url: str, nats_url: str, forks: Forks, tmp_path: Path
) -> None:
    async with doomed_beside_stage(migrated_url, nats_url, forks, tmp_path / "billing.log") as (stage, doomed):
        engine = create_engine(migrated_url, service="billing")
        async with disposed(engine):
            batch = NewBatch(
                tokens=TOKENS,
                uses=len(REDEEMING),
                per_account=1,
                ends_at=None,
                expires_days=None,
                made_by="me",
                reason="r",
            )
            _, (code,) = await make_vouchers(engine, batch, 1)
        accounts = [f"redeems-{number}" for number in range(len(REDEEMING))]
        for account, step in zip(accounts, REDEEMING, strict=True):
            await doomed.killed_at(step, stage.http, partial(_redeem, stage, doomed.url, code, account))
        async with running_billing(stage.settings):
            for account in accounts:
                assert await _redeem(stage, stage.url, code, account) == 200
            for account in accounts:
                assert (await stage.has_in_books(account, granted=TOKENS)).purchases == 1
        assert await stage.rows("SELECT used FROM billing.vouchers") == [{"used": len(REDEEMING)}]


async def _redeem(stage: BillingStage, url: str, code: str, account_id: str) -> int:
    """The answer's status; 0 where there is none."""
    key = {"authorization": f"Bearer {SERVICE_KEY}"}
    try:
        answer = await stage.http.post(
            f"{url}/billing/redeem", json={"code": code, "account_id": account_id}, headers=key
        )
    except httpx.TransportError:
        return 0
    return answer.status_code


async def _is_paid_when_visited(asking: BillingStage, order_id: str) -> bool:
    return bool((await asking.order(order_id))["state"] == "paid")


async def test_nothing_is_lost_while_postgres_nats_or_stripe_are_away(
    migrated_url: str, nats_url: str, forks: Forks, tmp_path: Path
) -> None:
    """Each is away while an order is paid: Stripe delivers again what was not taken, and what was taken waits."""
    async with doomed_beside_stage(migrated_url, nats_url, forks, tmp_path / "billing.log") as (stage, away):
        asking = replace(stage, settings=away.settings)
        async with running_billing(away.settings):
            for server in ("postgres", "nats", "stripe"):
                account = f"without-{server}"
                bought = await asking.buy(account)
                await stage.stripe.pay(bought["checkout_url"])
                event = (await events_of(stage, "checkout.session.completed"))[-1]
                away.points[server].cut()
                taken = await deliver(stage.http, away.url, event)
                assert taken is (server != "postgres")
                if server == "nats":
                    await stage.reaches(bought["order_id"], "paid")
                    assert (await stage.books(account)).purchases == 0
                away.points[server].restore()
                await eventually(partial(_taken, stage, away, event, taken), 20.0)
                await stage.has_in_books(account, granted=TOKENS)


async def _taken(stage: BillingStage, away: Doomed, event: dict[str, Any], taken: bool) -> bool:
    return taken or await deliver(stage.http, away.url, event)
