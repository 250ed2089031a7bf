"""Killed with -9 at each step of an auto top-up: one order, one charge, one credit or one word of why there is none.

What is said stands first in a list, so that nothing of an account before is said instead after the next start.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pytest_asyncio

from tests.support.billing import BillingStage, running_billing
from tests.support.billing_kills import Doomed, Step, deliver, doomed_beside_stage, events_of, let_all_be_due
from tests.support.billing_top_ups import LedgerPart, orders_of, payments_of, tops_up
from tests.support.eventually import eventually
from tests.support.forks import Forks

CHARGED: Final = b"POST /v1/payment_intents HTTP"
BUYING: Final[list[Step]] = [
    ("nats", (b"PUB solaris.billing.credits_purchased",)),
    ("postgres", (b"billing.top_ups.look_due_at > now()",)),
    ("nats", (b"PUB solaris.rpc.ledger.read.balance",)),
    ("stripe", (b"GET /v1/customers/",)),
    ("postgres", (b"INSERT INTO billing.orders",)),
    ("postgres", (b"INSERT INTO billing.orders", b"COMMIT")),
    ("stripe", (CHARGED,)),
    ("stripe", (CHARGED, b"GET /v1/payment_intents/")),
    ("stripe", (b"GET /v1/refunds",)),
    ("postgres", (b"UPDATE billing.orders SET id=",)),
    ("postgres", (b"INSERT INTO billing.outbox",)),
    ("postgres", (b"INSERT INTO billing.outbox", b"COMMIT")),
]
"""From the usage that brings an account low."""
DECLINED: Final[list[Step]] = [
    ("nats", (b"PUB solaris.billing.payment_failed",)),
    ("stripe", (CHARGED,)),
    ("stripe", (CHARGED, b"/cancel HTTP")),
    ("postgres", (b"UPDATE billing.orders SET id=",)),
    ("postgres", (b"UPDATE billing.orders SET id=", b"COMMIT")),
]
NEEDING_OWNER: Final[list[Step]] = [
    ("nats", (b"PUB solaris.billing.top_up_paused",)),
    ("stripe", (CHARGED,)),
    ("postgres", (b"UPDATE billing.orders SET id=", b"COMMIT")),
    ("postgres", (b"UPDATE billing.top_ups SET version=",)),
    ("postgres", (b"UPDATE billing.top_ups SET version=", b"COMMIT")),
]

type Stands = tuple[BillingStage, Doomed, LedgerPart]


@pytest_asyncio.fixture
async def stands(
    migrated_url: str, nats_url: str, ledger: LedgerPart, forks: Forks, tmp_path: Path
) -> AsyncIterator[Stands]:
    setting_up = doomed_beside_stage(
        migrated_url, nats_url, forks, tmp_path / "billing.log", top_up_sweep_seconds=3600.0
    )
    async with setting_up as (stage, doomed):
        yield stage, doomed, ledger


async def killed_at_each(stands: Stands, cards: str, steps: Sequence[Step], *told: str) -> list[str]:
    """Accounts that became low with a billing killed at one of the steps, once all is done and exactly that said."""
    stage, doomed, ledger = stands
    accounts = [f"{cards}-{number}" for number in range(len(steps))]
    async with running_billing(stage.settings):
        await asyncio.gather(*(tops_up(stage, account) for account in accounts))
    await stage.stripe.cards(cards, times=100)
    for account, step in zip(accounts, steps, strict=True):
        ledger.left[account] = 0
        await doomed.killed_at(step, stage.http, partial(ledger.uses, account))
    async with running_billing(stage.settings):
        for _ in range(2):  # the second time nothing is left to do
            await let_all_be_due(stage)
            await eventually(partial(_none_due, stage), 30.0)
        for account in accounts:
            await eventually(partial(_told, stage, account, told), 20.0, message=account)
    return accounts


async def _none_due(stage: BillingStage) -> bool:
    """Taken ones are due again after some minutes, those that were looked at after an hour."""
    due = "SELECT account_id FROM billing.top_ups WHERE look_due_at < now() + interval '20 minutes'"
    return await stage.rows(due) == []


async def _told(stage: BillingStage, account_id: str, told: Sequence[str]) -> bool:
    assert (await stage.books(account_id)).kinds == tuple(told)
    return True


async def stand_once(stage: BillingStage, accounts: Sequence[str], order: str, payment: str) -> None:
    """One order and one payment of each, and how they stand."""
    for account in accounts:
        assert [each["state"] for each in await orders_of(stage, account)] == [order]
        assert await payments_of(stage, account) == [payment]


async def test_a_top_up_killed_at_each_step_is_paid_and_credited_once(stands: Stands) -> None:
    accounts = await killed_at_each(stands, "ok", BUYING, "credits_purchased")
    await stand_once(stands[0], accounts, "paid", "succeeded")


async def test_a_declined_one_killed_at_each_step_is_told_once_and_nobody_pays_it_later(stands: Stands) -> None:
    accounts = await killed_at_each(stands, "declined", DECLINED, "payment_failed")
    await stand_once(stands[0], accounts, "failed", "canceled")


async def test_one_that_needs_its_owner_pauses_it_wherever_it_is_killed(stands: Stands) -> None:
    accounts = await killed_at_each(stands, "authentication_required", NEEDING_OWNER, "payment_failed", "top_up_paused")
    await stand_once(stands[0], accounts, "failed", "canceled")


async def test_a_payment_whose_failure_a_webhook_told_first_is_ended_all_the_same(stands: Stands) -> None:
    """Killed with a declined payment, and what Stripe tells of it is heard before anybody goes on with the top-up."""
    stage, doomed, ledger = stands
    async with running_billing(stage.settings):
        await tops_up(stage, "webhook-first")
    await stage.stripe.cards("authentication_required", times=100)
    ledger.left["webhook-first"] = 0
    await doomed.killed_at(("stripe", (CHARGED,)), stage.http, partial(ledger.uses, "webhook-first"))
    async with running_billing(stage.settings):
        (order,) = await orders_of(stage, "webhook-first")
        assert await deliver(stage.http, stage.url, (await events_of(stage, "payment_intent.payment_failed"))[-1])
        await stage.reaches(order["id"], "failed")
        await let_all_be_due(stage)
        told = ("payment_failed", "top_up_paused")
        await eventually(partial(_told, stage, "webhook-first", told), 20.0)
    await stand_once(stage, ["webhook-first"], "failed", "canceled")
