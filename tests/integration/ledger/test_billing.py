"""What billing says is carried out once, whatever the order, the repetition and the outage in which it comes."""

import json
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest_asyncio
from contracts.codec import encode
from contracts.events.billing import PlanChange
from contracts.subjects import LEDGER_BILLING_CONSUMER
from ledger.audit.verify import Verified, verify

from tests.integration.ledger.billing_desk import BillingDesk
from tests.integration.ledger.conftest import Conversation, LedgerProcess
from tests.support.billing_messages import PERIOD, Said, plan_ended, plan_subscribed, purchased, restored, revoked
from tests.support.eventually import eventually


@pytest_asyncio.fixture(scope="module")
async def desk(gateway: Conversation) -> BillingDesk:
    return BillingDesk(gateway.client)


def order_life(order_id: str) -> list[Said]:
    return [
        purchased(order_id, 1_000),
        revoked(order_id, 600, revision=1),
        restored(order_id, 400, revision=2),
    ]


def subscription_life(subscription_id: str, starts_at: datetime) -> list[Said]:
    def period(plan: str, revision: int, change: PlanChange, at: datetime) -> Said:
        return plan_subscribed(subscription_id, plan, revision=revision, change=change, period_starts_at=at)

    return [
        period("premium", 1, PlanChange.STARTED, starts_at),
        period("premium", 2, PlanChange.RENEWED, starts_at + PERIOD),
        period("enterprise", 3, PlanChange.UPGRADED, starts_at + PERIOD),
        plan_ended(subscription_id, "enterprise", revision=4),
    ]


async def record_of(gateway: Conversation, order_id: str) -> dict[str, Any]:
    query = "SELECT record FROM ledger.lots WHERE lot_id = $1"
    record: dict[str, Any] = json.loads(await gateway.database.fetchval(query, f"order:{order_id}"))
    return record


async def letters_of(gateway: Conversation, account_id: str) -> list[str]:
    query = "SELECT reason FROM ledger.dead_letters WHERE consumer = $1 AND subject LIKE '%.' || $2 ORDER BY id"
    return [row[0] for row in await gateway.database.fetch(query, LEDGER_BILLING_CONSUMER, account_id)]


async def test_an_order_s_life_told_twice_in_any_order_is_one_balance(gateway: Conversation, desk: BillingDesk) -> None:
    orders = {f"order-{number}": order for number, order in enumerate(permutations(range(3)))}
    for name, order in orders.items():
        life = order_life(name)
        await desk.say(name, *(life[index] for index in order), *(life[index] for index in order))
    await desk.all_heard()
    for name in orders:
        balance = await gateway.balance(name)
        assert (balance.credits, balance.debt, balance.monthly_used) == (800, 0, 0), name
        record = await record_of(gateway, name)
        assert (record["granted"], record["revoked"], record["restored"], record["revision"]) == (1_000, 600, 400, 2)
        assert await letters_of(gateway, name) == []


async def test_a_subscription_s_life_told_twice_in_any_order_is_one_balance(
    gateway: Conversation, desk: BillingDesk
) -> None:
    starts_at = datetime.now(UTC).replace(microsecond=0)
    lives = {f"sub-{number}": order for number, order in enumerate(permutations(range(4)))}
    for name in lives:
        await gateway.reserve(name, reservation_id=f"r-{name}")
        await gateway.record(name, f"r-{name}", prompt=100)
    for name in lives:
        await gateway.settled(name, 100)
    for name, order in lives.items():
        life = subscription_life(f"of-{name}", starts_at)
        await desk.say(name, *(life[index] for index in order), *(life[index] for index in order))
    await desk.all_heard()
    ends = set()
    for name in lives:
        balance = await gateway.balance(name)
        assert await letters_of(gateway, name) == []
        ends.add((balance.plan, balance.monthly_limit, balance.monthly_used, balance.credits, balance.cycle.ends_at))
    assert {end[:4] for end in ends} == {("basic", 1_000_000, 0, 0)}
    assert len(ends) == 1
    count = "SELECT count(*) FROM ledger.events WHERE account_id = $1 AND type = 'solaris.ledger.cycle_started.v1'"
    assert {await gateway.database.fetchval(count, name) for name in lives} == {1}


async def test_the_same_purchase_ten_times_is_one_lot(gateway: Conversation, desk: BillingDesk) -> None:
    await desk.say("ten", *[purchased("ten-times", 700)] * 10)
    await desk.all_heard()
    assert (await gateway.balance("ten")).credits == 700
    causation = "SELECT convert_from(data, 'UTF8')::json FROM ledger.events WHERE account_id = 'ten' AND type LIKE $1"
    (row,) = await gateway.database.fetch(causation, "%credits_granted%")
    event = json.loads(row[0])
    assert event["causationid"]
    assert (event["data"]["actor"], event["data"]["reference"]) == ("billing", "ten-times")


async def test_what_is_not_believed_is_kept_and_changes_nothing(gateway: Conversation, desk: BillingDesk) -> None:
    await desk.say("honest", purchased("mine", 500))
    await desk.all_heard()
    other = purchased("mine", 500)
    await desk.publish(other.subject("honest"), encode(other.by("thief")))  # another account than the subject's
    await desk.publish(revoked("mine", 1, revision=1).subject("honest"), encode(other.by("honest")))  # another type
    await desk.say("honest", purchased("mine", 600))  # the same order with another content
    await desk.say("thief", purchased("mine", 500))  # the same order for somebody else
    await desk.say("honest", purchased("none", 0))
    await desk.say("honest", revoked("mine", 1, revision=1))
    await desk.say("honest", restored("mine", 1, revision=1))  # one revision, two contents
    await desk.publish(other.subject("honest"), b'{"type": "solaris.billing.credits_purchased.v1"}')
    await desk.publish(other.subject("honest"), b'{"type":"\xff"')
    await desk.all_heard()
    assert (await gateway.balance("honest")).credits == 499
    assert (await gateway.read_balance("thief")).balance is None
    reasons = await letters_of(gateway, "honest")
    assert reasons[:2] == ["published on the subject of another event or account"] * 2
    assert [each.partition(" ")[2] for each in reasons[2:3]] == [
        "billing:purchased:mine was executed with another content"
    ]
    assert reasons[3:5] == [
        "credits are granted in positive amounts",
        "command billing:order:mine:1 was executed with another content",
    ]
    assert len(reasons) == 7
    (stolen,) = await letters_of(gateway, "thief")
    assert stolen.startswith("23P01")


async def test_a_ledger_killed_in_between_loses_nothing_and_counts_nothing_twice(
    gateway: Conversation, desk: BillingDesk, ledger: LedgerProcess
) -> None:
    starts_at = datetime.now(UTC).replace(microsecond=0)
    names = [f"killed-{number}" for number in range(32)]
    for number, name in enumerate(names):
        await desk.say(name, *order_life(name), *subscription_life(f"of-{name}", starts_at))
        if number % 8 == 4:
            await ledger.kill()
            await desk.say(name, *reversed(order_life(name)))
            await ledger.start()
    await desk.all_heard()
    for name in names:
        balance = await gateway.balance(name)
        assert (balance.credits, balance.debt, balance.plan, balance.monthly_limit) == (800, 0, "basic", 1_000_000)
        assert await letters_of(gateway, name) == []


async def test_the_log_is_sound_after_all_that(gateway: Conversation, database_url: str) -> None:
    async def sound() -> bool:
        return isinstance(await verify(database_url), Verified)

    await eventually(sound, 20)
