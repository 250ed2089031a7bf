"""Stripe's events of a subscription in every order, each twice, and at once: one allowance for one payment."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import permutations

import pytest
import pytest_asyncio

from tests.support.billing import BillingStage, staged_billing
from tests.support.billing_plans import HOUR, MONTH, said, says, subscribe
from tests.support.eventually import eventually

BEGIN = ("checkout.session.completed", "customer.subscription.created", "invoice.paid")
RENEW = ("customer.subscription.updated", "invoice.created", "invoice.paid")


@pytest_asyncio.fixture
async def stage(own_url: str, nats_url: str) -> AsyncIterator[BillingStage]:
    """One that is told of everything by events alone: nothing is due by time while the test lasts."""
    async with staged_billing(own_url, nats_url, sweep_seconds=3600.0) as stage:
        await stage.stripe.deliveries("drop")
        yield stage


async def events_since(stage: BillingStage, known: Sequence[str], kinds: Sequence[str]) -> dict[str, str]:
    """The ids of new events by their kinds; of several of a kind the last."""
    events = (await stage.stripe.client.v1.events.list_async({"limit": 100})).data
    return {each.type: each.id for each in reversed(events) if each.id not in known and each.type in kinds}


async def all_ids(stage: BillingStage) -> list[str]:
    return [each.id for each in (await stage.stripe.client.v1.events.list_async({"limit": 100})).data]


async def deliver(stage: BillingStage, event_ids: Sequence[str]) -> None:
    for event_id in event_ids:
        await stage.stripe.send_again(event_id)
        await stage.all_handled()


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_events_in_every_order_are_one_start_and_one_renewal(stage: BillingStage, order: tuple[int, ...]) -> None:
    account = f"ana-{''.join(map(str, order))}"
    begun = await subscribe(stage, account)
    await stage.stripe.pay(begun["checkout_url"])
    first = await events_since(stage, [], BEGIN)
    assert set(first) == set(BEGIN)
    await deliver(stage, [first[BEGIN[each]] for each in order])
    await says(stage, account, ["started basic"])
    known = await all_ids(stage)
    await stage.stripe.advance(MONTH + 2 * HOUR)
    second = await events_since(stage, known, RENEW)
    assert set(second) == set(RENEW)
    await deliver(stage, [second[RENEW[each]] for each in order])
    await says(stage, account, ["started basic", "renewed basic"])
    # What is late and repeated changes nothing.
    await deliver(stage, [*first.values(), *second.values()])
    assert await said(stage, account) == ["started basic", "renewed basic"]


async def test_events_of_one_subscription_at_once_are_one_start(stage: BillingStage) -> None:
    begun = await subscribe(stage, "bia")
    await stage.stripe.pay(begun["checkout_url"])
    events = await events_since(stage, [], BEGIN)
    await asyncio.gather(*(stage.stripe.send_again(each) for each in [*events.values()] * 4))
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
    await asyncio.gather(*(stage.stripe.send_again(each) for each in reversed(await all_ids(stage))))
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
