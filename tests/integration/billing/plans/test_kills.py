"""Killed with -9 at each step of a subscription's life: each period is told once, paid once, and what is owed is done.

The intake of an event is that of orders' events (see `test_survival.py` beside this folder). What is done by itself
after a start stands first in a list, so that nothing of an account before is done instead.
"""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest_asyncio

from tests.support.billing import BillingStage, running_billing
from tests.support.billing_kills import Doomed, Step, deliver, doomed_beside_stage, events_of, let_all_be_due
from tests.support.billing_plans import HOUR, MONTH, says, state_at_stripe, subscribe
from tests.support.eventually import eventually
from tests.support.forks import Forks

WRITTEN: Final = b"UPDATE billing.subscriptions SET id="
STARTING: Final[list[Step]] = [
    ("nats", (b"PUB solaris.billing.plan_subscribed",)),
    ("postgres", (b"UPDATE billing.orders SET id=", b"COMMIT")),
    ("stripe", (b"GET /v1/subscriptions/",)),
    ("postgres", (b"INSERT INTO billing.subscriptions",)),
    ("postgres", (b"INSERT INTO billing.subscriptions", b"COMMIT")),
    ("stripe", (b"GET /v1/invoices",)),
    ("stripe", (b"GET /v1/refunds",)),
    ("postgres", (b"INSERT INTO billing.subscription_invoices",)),
    ("postgres", (WRITTEN,)),
    ("postgres", (b"INSERT INTO billing.outbox",)),
    ("postgres", (b"INSERT INTO billing.outbox", b"COMMIT")),
    ("postgres", (b"UPDATE billing.webhook_events SET status",)),
]
"""From what says that the Checkout was paid."""
RENEWING: Final[list[Step]] = [
    ("nats", (b"PUB solaris.billing.plan_subscribed",)),
    ("stripe", (b"GET /v1/invoices",)),
    ("postgres", (b"INSERT INTO billing.subscription_invoices",)),
    ("postgres", (WRITTEN,)),
    ("postgres", (WRITTEN, b"COMMIT")),
    ("postgres", (b"UPDATE billing.webhook_events SET status",)),
]
ENDING: Final[list[Step]] = [
    ("nats", (b"PUB solaris.billing.plan_ended",)),
    ("postgres", (WRITTEN,)),
    ("postgres", (WRITTEN, b"COMMIT")),
]
GIVING_BACK: Final[list[Step]] = [
    ("postgres", (WRITTEN,)),
    ("postgres", (WRITTEN, b"COMMIT")),
    ("stripe", (b"DELETE /v1/subscriptions/",)),
    ("stripe", (b"POST /v1/refunds",)),
    ("stripe", (b"POST /v1/refunds", b"GET /v1/subscriptions/")),
]
"""From what says that a second one was paid."""
REPLACING: Final[list[Step]] = [
    ("stripe", (b"POST /v1/invoices/",)),
    ("stripe", (b"DELETE /v1/subscriptions/",)),
    ("nats", (b"PUB solaris.billing.plan_ended",)),
    ("postgres", (WRITTEN,)),
    ("postgres", (WRITTEN, b"COMMIT")),
]
"""From what says that one was paid beside another whose renewal failed."""

type Stands = tuple[BillingStage, Doomed]


@pytest_asyncio.fixture
async def stands(own_url: str, nats_url: str, forks: Forks, tmp_path: Path) -> AsyncIterator[Stands]:
    async with doomed_beside_stage(own_url, nats_url, forks, tmp_path / "billing.log") as stands:
        yield stands


async def bought(stage: BillingStage, accounts: Sequence[str], *plans: str) -> list[list[str]]:
    """Paid subscriptions of each, as if each Checkout was shown by a process that knew of no other; nobody knows."""
    urls: list[list[str]] = [[] for _ in accounts]
    async with running_billing(stage.settings):
        for plan in plans:
            for account, own in zip(accounts, urls, strict=True):
                own.append((await subscribe(stage, account, plan))["checkout_url"])
            await stage.rows("UPDATE billing.orders SET slot = NULL")
    return [[str((await stage.stripe.pay(url))["subscription"]) for url in own] for own in urls]


async def started(stage: BillingStage, accounts: Sequence[str], subscriptions: Sequence[str]) -> None:
    async with running_billing(stage.settings):
        for account, subscription in zip(accounts, subscriptions, strict=True):
            assert await deliver(
                stage.http, stage.url, await event_of(stage, "customer.subscription.created", subscription)
            )
            await says(stage, account, ["started basic"])


async def event_of(stage: BillingStage, kind: str, subscription: str) -> dict[str, Any]:
    """The latest of that type that names the subscription."""
    found = [each for each in await events_of(stage, kind) if subscription in str(each["data"]["object"])]
    return found[-1]


async def killed_at_each(
    stands: Stands, steps: Sequence[Step], accounts: Sequence[str], events: Sequence[dict[str, Any]], *told: str
) -> None:
    """Kill a billing at each step of what one of the events begins, then have it all done, and exactly that said."""
    stage, doomed = stands
    answered = []
    for step, event in zip(steps, events, strict=True):
        answered.append(await doomed.killed_at(step, stage.http, partial(deliver, stage.http, doomed.url, event)))
    await let_all_be_due(stage)
    async with running_billing(stage.settings):
        for event, was_answered in zip(events, answered, strict=True):
            assert was_answered or await deliver(stage.http, stage.url, event)
        for account in accounts:
            await says(stage, account, told)
        await stage.all_handled()


async def test_a_first_payment_killed_at_each_step_starts_one_plan(stands: Stands) -> None:
    stage, _ = stands
    accounts = [f"start-{number}" for number in range(len(STARTING))]
    subscriptions = [own for (own,) in await bought(stage, accounts, "basic")]
    events = [await event_of(stage, "checkout.session.completed", each) for each in subscriptions]
    await killed_at_each(stands, STARTING, accounts, events, "started basic")
    assert await states(stage, subscriptions) == [("active", ["paid"])] * len(STARTING)


async def states(stage: BillingStage, subscriptions: Sequence[str]) -> list[tuple[str, list[str]]]:
    return [await state_at_stripe(stage, each) for each in subscriptions]


async def test_a_renewal_and_an_end_killed_at_each_step_are_told_once(stands: Stands) -> None:
    stage, _ = stands
    accounts = [f"renew-{number}" for number in range(len(RENEWING))]
    subscriptions = [own for (own,) in await bought(stage, accounts, "basic")]
    await started(stage, accounts, subscriptions)
    await stage.stripe.advance(MONTH + 2 * HOUR)
    events = [await event_of(stage, "invoice.paid", each) for each in subscriptions]
    await killed_at_each(stands, RENEWING, accounts, events, "started basic", "renewed basic")
    assert await states(stage, subscriptions) == [("active", ["paid", "paid"])] * len(RENEWING)
    ending = subscriptions[: len(ENDING)]
    for each in ending:
        await stage.stripe.client.v1.subscriptions.cancel_async(each)
    events = [await event_of(stage, "customer.subscription.deleted", each) for each in ending]
    told = ("started basic", "renewed basic", "ended cancelled")
    await killed_at_each(stands, ENDING, accounts[: len(ENDING)], events, *told)


async def test_a_second_one_that_was_paid_is_given_back_once_wherever_it_is_killed(stands: Stands) -> None:
    stage, _ = stands
    accounts = [f"second-{number}" for number in range(len(GIVING_BACK))]
    pairs = await bought(stage, accounts, "basic", "pro")
    await started(stage, accounts, [first for first, _ in pairs])
    seconds = [second for _, second in pairs]
    events = [await event_of(stage, "checkout.session.completed", each) for each in seconds]
    await killed_at_each(stands, GIVING_BACK, accounts, events, "started basic")
    assert await states(stage, seconds) == [("canceled", ["refunded"])] * len(GIVING_BACK)
    refunds = (await stage.stripe.client.v1.refunds.list_async({"limit": 100})).data
    assert [each.amount for each in refunds] == [18_490] * len(GIVING_BACK)


async def test_one_that_is_replaced_wherever_it_is_killed_is_ended_and_nobody_pays_it(stands: Stands) -> None:
    stage, _ = stands
    accounts = [f"replaced-{number}" for number in range(len(REPLACING))]
    firsts = [own for (own,) in await bought(stage, accounts, "basic")]
    await started(stage, accounts, firsts)
    await stage.stripe.cards("declined", times=len(REPLACING))
    await stage.stripe.advance(MONTH + 2 * HOUR)
    async with running_billing(stage.settings):
        for account, first in zip(accounts, firsts, strict=True):
            assert await deliver(stage.http, stage.url, await event_of(stage, "invoice.payment_failed", first))
            await says(stage, account, ["started basic", "reminder 1"])
    await stage.stripe.cards("ok")
    seconds = [own for (own,) in await bought(stage, accounts, "pro")]
    events = [await event_of(stage, "checkout.session.completed", each) for each in seconds]
    told = ("started basic", "reminder 1", "ended replaced", "started pro")
    await killed_at_each(stands, REPLACING, accounts, events, *told)

    async def all_ended() -> bool:
        assert await states(stage, firsts) == [("canceled", ["void", "paid"])] * len(REPLACING)
        return True

    await let_all_be_due(stage)  # a billing that is stopped keeps what it has taken, too
    async with running_billing(stage.settings):
        await eventually(all_ended, 20.0)
    assert await states(stage, seconds) == [("active", ["paid"])] * len(REPLACING)
