"""Stripe's events of subscriptions in every order, late ones too, and at once: one allowance for one payment."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from itertools import permutations
from math import factorial
from typing import Any, Final

import pytest_asyncio

from tests.support.billing import BillingStage, deliver, staged_billing
from tests.support.billing_plans import HOUR, MONTH, said, says, subscribe
from tests.support.eventually import eventually

type Event = dict[str, Any]  # as Stripe has it

BEGIN: Final = (
    "checkout.session.completed",
    "customer.subscription.created",
    "invoice.paid",
    "payment_intent.succeeded",
)
RENEW: Final = ("customer.subscription.updated", "invoice.finalized", "invoice.paid")
REFUND: Final = ("charge.refunded", "refund.created")
AT_ONCE: Final = 8


@pytest_asyncio.fixture
async def stage(own_url: str, nats_url: str) -> AsyncIterator[BillingStage]:
    """One that is told of everything by events alone: nothing is due by time while the test lasts."""
    async with staged_billing(own_url, nats_url, sweep_seconds=3600.0) as stage:
        await stage.stripe.deliveries("drop")
        yield stage


async def all_events(stage: BillingStage) -> list[Event]:
    """The newest first."""
    listed = await stage.stripe.client.v1.events.list_async({"limit": 100})
    return [json.loads(json.dumps(each.to_dict(), default=str)) async for each in listed.auto_paging_iter()]


def of_kinds(events: Sequence[Event], kinds: Sequence[str], names: Sequence[str]) -> list[Event]:
    """The newest of each kind that names one of these objects."""
    theirs = [each for each in events if any(f'"{name}"' in json.dumps(each) for name in names)]
    return [next(each for each in theirs if each["type"] == kind) for kind in kinds]


async def hear(stage: BillingStage, events: Sequence[Event]) -> None:
    """One after the other was handled."""
    for event in events:
        await deliver(stage, event)
        await stage.handled([event["id"]])


async def test_a_subscriptions_and_its_refunds_events_in_every_order_end_the_same(stage: BillingStage) -> None:
    """Each order of what begins one is played for an account of its own; its renewal and its end then for some."""
    places, heard = asyncio.Semaphore(AT_ONCE), list[Event]()
    accounts = [f"ana-{number}" for number in range(factorial(len(BEGIN)))]
    paid = [await stage.stripe.pay((await subscribe(stage, account))["checkout_url"]) for account in accounts]
    names = [[str(each["customer"])] for each in paid]

    async def play(number: int, events: Sequence[Event], order: Sequence[str], told: Sequence[str]) -> None:
        async with places:
            found = of_kinds(events, order, names[number])
            await hear(stage, found)
            await says(stage, accounts[number], told)
            heard.extend(found if number == 0 else [])

    async def all_play(kinds: Sequence[str], *told: str) -> None:
        events, orders = await all_events(stage), permutations(kinds)
        await asyncio.gather(*(play(number, events, order, told) for number, order in enumerate(orders)))

    await all_play(BEGIN, "started basic")
    await stage.stripe.advance(MONTH + 2 * HOUR)
    await all_play(RENEW, "started basic", "renewed basic")
    for number in range(factorial(len(REFUND))):
        # Any: the SDK's own type takes no plain dict
        wanted: Any = {"subscription": paid[number]["subscription"], "expand": ["data.payments"]}
        newest = (await stage.stripe.client.v1.invoices.list_async(wanted)).data[0].to_dict()
        names[number].append(str(newest["payments"]["data"][0]["payment"]["payment_intent"]))
        await stage.stripe.client.v1.refunds.create_async({"payment_intent": names[number][-1]})
    ended = ("started basic", "renewed basic", "ended taken_back")
    await all_play(REFUND, *ended)
    # What is late and repeated changes nothing, also under another id.
    await hear(stage, [each | {"id": f"{each['id']}late"} for each in heard])
    assert await said(stage, accounts[0]) == list(ended)


async def test_events_of_one_subscription_at_once_are_one_start(stage: BillingStage) -> None:
    begun = await subscribe(stage, "bia")
    await stage.stripe.pay(begun["checkout_url"])
    events = [each["id"] for each in await all_events(stage) if each["type"] in BEGIN]
    await asyncio.gather(*(stage.stripe.send_again(each) for each in events * 4))
    await stage.all_handled()
    await says(stage, "bia", ["started basic"])
    (row,) = await stage.rows("SELECT revision, plan FROM billing.subscriptions")
    assert (row["revision"], row["plan"]) == (1, "basic")


async def test_two_subscriptions_of_one_account_paid_at_once_give_one_plan(stage: BillingStage) -> None:
    first = await subscribe(stage, "caio")
    await stage.rows("UPDATE billing.orders SET slot = NULL")  # as if each was begun by another process long ago
    second = await subscribe(stage, "caio", "pro")
    paid = [await stage.stripe.pay(each["checkout_url"]) for each in (first, second)]
    await stage.stripe.deliveries("normal")
    await asyncio.gather(*(stage.stripe.send_again(each["id"]) for each in reversed(await all_events(stage))))
    await stage.all_handled()
    told = list(await eventually(lambda: said(stage, "caio"), 15.0))
    assert told in (["started basic"], ["started pro"])
    rows = await stage.rows("SELECT id, plan FROM billing.subscriptions")
    assert {each["id"] for each in rows} == {each["subscription"] for each in paid}
    (lost,) = [each["id"] for each in rows if each["plan"] is None]
    client = stage.stripe.client.v1
    assert (await client.subscriptions.retrieve_async(lost)).status == "canceled"
    refunds = (await client.refunds.list_async()).data
    assert [each.amount for each in refunds] == [18_490 if told == ["started basic"] else 12_490]
