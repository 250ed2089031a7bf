"""Postgres or NATS is stopped, or dies by -9, while an order, a renewal and a top-up are under way: all count once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

import pytest_asyncio
from chassis.migrations import migrate
from local_run.ports import any_free
from local_run.servers.nats_authority import USERS
from local_run.servers.nats_server import NatsServer
from local_run.servers.postgres import PostgresServer

from tests.support.billing import BillingStage, staged_billing
from tests.support.billing_kills import let_all_be_due
from tests.support.billing_plans import HOUR, MONTH, says, state_at_stripe, subscribed
from tests.support.billing_top_ups import LedgerPart, orders_of, payments_of, playing_ledger, tops_up
from tests.support.eventually import eventually
from tests.support.stoppable import Stoppable, started

TOKENS: Final = 500_000
OUTAGES: Final = [(part, way) for part in ("postgres", "nats") for way in ("stopped", "killed")]

type Town = tuple[BillingStage, LedgerPart, dict[str, Stoppable]]


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A billing with servers of its own, and a ledger that says what is left."""
    postgres = PostgresServer(directory=tmp_path / "postgres", port=any_free(), password="of-the-tests")
    await postgres.initialise()
    passwords = {user.name: "of-the-tests" for user in USERS}
    nats = NatsServer(directory=tmp_path / "nats", port=any_free(), passwords=passwords)
    nats.initialise()
    async with AsyncExitStack() as stack:
        servers = {server.part: await stack.enter_async_context(started(server)) for server in (postgres, nats)}
        await migrate(postgres.url("postgres"), "billing")
        ledger = await stack.enter_async_context(playing_ledger(nats.url()))
        running = staged_billing(postgres.url("postgres"), nats.url(), top_up_sweep_seconds=3600.0)
        yield await stack.enter_async_context(running), ledger, servers


async def test_what_is_under_way_while_a_server_is_gone_counts_once(town: Town) -> None:
    stage, ledger, servers = town
    names = [f"{part}-{way}" for part, way in OUTAGES]
    plans = [await subscribed(stage, f"plan-{name}") for name in names]
    await asyncio.gather(*(tops_up(stage, f"top-up-{name}") for name in names))
    for number, (part, way) in enumerate(OUTAGES, start=1):
        name = f"{part}-{way}"
        bought = await stage.buy(f"buyer-{name}")
        await (servers[part].stop() if way == "stopped" else servers[part].kill())
        await stage.stripe.pay(bought["checkout_url"])
        await stage.stripe.advance(MONTH + 2 * HOUR)
        ledger.left[f"top-up-{name}"] = 0
        if part == "postgres":
            await ledger.uses(f"top-up-{name}")
        else:
            await let_all_be_due(stage)
        await eventually(partial(_fails, stage, part), 20.0, message=f"{part} is said to fail")
        await servers[part].start()
        await eventually(partial(_is_ready, stage), 30.0, message="ready again")
        await let_all_be_due(stage)
        await stage.stripe.deliveries("normal")  # what waits for its next attempt goes out now
        await stage.has_in_books(f"buyer-{name}", granted=TOKENS)
        await eventually(partial(_is_topped_up, stage, f"top-up-{name}"), 30.0, message="topped up")
        ledger.left.clear()
        for each in names:
            await says(stage, f"plan-{each}", ["started basic", *["renewed basic"] * number])
        await stage.all_handled()
    assert [await state_at_stripe(stage, each) for each in plans] == [("active", ["paid"] * (1 + len(OUTAGES)))] * len(
        plans
    )
    for name in names:
        assert (await stage.has_in_books(f"buyer-{name}", granted=TOKENS)).purchases == 1
        assert await payments_of(stage, f"top-up-{name}") == ["succeeded"]
    assert await stage.rows("SELECT id FROM billing.orders WHERE state <> 'paid'") == []
    assert await stage.rows("SELECT id FROM billing.dead_letters") == []


async def _fails(stage: BillingStage, part: str) -> bool:
    answer = await stage.http.get(f"{stage.url}/health/ready")
    return answer.status_code == 503 and part in answer.json()["failing"]


async def _is_ready(stage: BillingStage) -> bool:
    return (await stage.http.get(f"{stage.url}/health/ready")).status_code == 200


async def _is_topped_up(stage: BillingStage, account_id: str) -> bool:
    """Once; whoever could not ask the ledger asks again in a minute, which is not awaited here."""
    await stage.rows(
        "UPDATE billing.top_ups SET look_due_at = now() WHERE account_id = $1"
        " AND look_due_at < now() + interval '2 minutes'",
        account_id,
    )
    assert [each["state"] for each in await orders_of(stage, account_id)] == ["paid"]
    return (await stage.books(account_id)).granted == TOKENS
