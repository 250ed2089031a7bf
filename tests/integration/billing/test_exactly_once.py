"""However often, in whatever order and by however many an event comes, a purchase counts once and nothing is lost."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import pytest_asyncio

from tests.support.billing import BillingStage, deliver, running_billing, settings_for

TELLING: Final = {
    "checkout.session.completed",
    "payment_intent.succeeded",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
}
AT_ONCE: Final = 12


@pytest_asyncio.fixture
async def deaf(stage: BillingStage) -> AsyncIterator[BillingStage]:
    """Stripe delivers nothing by itself; the test delivers what it wants, as it wants."""
    await stage.stripe.deliveries("drop")
    yield stage
    await stage.stripe.deliveries("normal")


async def _events_of(stage: BillingStage, bought: dict[str, Any], payment_intent: str) -> list[dict[str, Any]]:
    """What Stripe has to tell of a purchase, one event a type."""
    listed = await stage.stripe.client.v1.events.list_async({"limit": 100})
    found: dict[str, dict[str, Any]] = {}
    async for event in listed.auto_paging_iter():
        text = json.dumps(event.to_dict(), default=str)
        if event.type in TELLING and (payment_intent in text or bought["order_id"] in text):
            found.setdefault(f"{event.type} {event.data.object['id']}", json.loads(text))
    return list(found.values())


async def _purchase(stage: BillingStage, account: str) -> tuple[dict[str, Any], str]:
    bought = await stage.buy(account)
    paid = await stage.stripe.pay(bought["checkout_url"])
    return bought, paid["payment_intent"]


async def test_the_same_event_ten_times_at_once_is_one_credit(deaf: BillingStage) -> None:
    bought, intent = await _purchase(deaf, "ten-times")
    event = next(
        each for each in await _events_of(deaf, bought, intent) if each["type"] == "checkout.session.completed"
    )
    await asyncio.gather(*(deliver(deaf, event) for _ in range(10)))
    await deaf.handled([event["id"]])
    assert (await deaf.has_in_books("ten-times", granted=500_000)).purchases == 1


async def test_many_events_of_one_session_handled_at_once_by_two_processes_are_one_credit(
    deaf: BillingStage, migrated_url: str, nats_url: str
) -> None:
    """Ten deliveries that Stripe took for different ones: each is handled, and only one of them credits."""
    bought, intent = await _purchase(deaf, "two-events")
    events = await _events_of(deaf, bought, intent)
    copies = [event | {"id": f"{event['id']}{number}"} for event in events for number in range(5)]
    other = settings_for(migrated_url, nats_url, deaf.stripe.url)
    async with running_billing(other):
        urls = itertools.cycle([deaf.url, f"http://127.0.0.1:{other.billing_port}"])
        await asyncio.gather(*(deliver(deaf, copy, url) for copy, url in zip(copies, urls, strict=False)))
        await deaf.handled([copy["id"] for copy in copies])
    assert (await deaf.has_in_books("two-events", granted=500_000)).purchases == 1
    changes = await deaf.rows("SELECT what FROM billing.order_changes WHERE order_id = $1", bought["order_id"])
    assert sorted(each["what"] for each in changes) == ["open", "paid", "placed"]


async def test_every_order_of_a_purchases_and_its_refunds_events_ends_the_same(deaf: BillingStage) -> None:
    """All permutations; each is played on a purchase of its own, one event after the other was handled."""
    places = asyncio.Semaphore(AT_ONCE)
    played: list[tuple[str, ...]] = []

    async def play(number: int, sequence: Sequence[int]) -> None:
        async with places:
            account = f"order-{number}"
            bought, intent = await _purchase(deaf, account)
            await deaf.stripe.client.v1.refunds.create_async({"payment_intent": intent, "amount": 2_497})
            events = {each["type"]: each for each in await _events_of(deaf, bought, intent)}
            kinds = sorted(events)
            assert len(kinds) == len(sequence)
            for place in sequence:
                event = events[kinds[place]]
                await deliver(deaf, event)
                await deaf.handled([event["id"]])
            played.append(tuple(kinds[place] for place in sequence))
            books = await deaf.has_in_books(account, granted=500_000, revoked=500_000 * 2_497 // 7_490)
            assert books.kinds == ("credits_purchased", "credits_revoked")

    probe, intent = await _purchase(deaf, "order-probe")
    await deaf.stripe.client.v1.refunds.create_async({"payment_intent": intent, "amount": 1})
    kinds = {each["type"] for each in await _events_of(deaf, probe, intent)}
    assert {"checkout.session.completed", "payment_intent.succeeded", "charge.refunded", "refund.created"} <= kinds
    orders = list(itertools.permutations(range(len(kinds))))
    await asyncio.gather(*(play(number, sequence) for number, sequence in enumerate(orders)))
    assert len(set(played)) == len(orders)


async def test_each_event_of_money_that_goes_back_is_heard_also_alone(deaf: BillingStage) -> None:
    """The others of the same refund or dispute are lost, and nothing is due by time."""

    async def play(number: int, kind: str) -> None:
        account = f"alone-{number}"
        bought, intent = await _purchase(deaf, account)
        (paid,) = [e for e in await _events_of(deaf, bought, intent) if e["type"] == "checkout.session.completed"]
        await deliver(deaf, paid)
        await deaf.has_in_books(account, granted=500_000)
        if "dispute" in kind:
            await deaf.stripe.dispute(intent)
        else:
            await deaf.stripe.client.v1.refunds.create_async({"payment_intent": intent})
        (event,) = [each for each in await _events_of(deaf, bought, intent) if each["type"] == kind]
        await deliver(deaf, event)
        await deaf.has_in_books(account, granted=500_000, revoked=500_000)

    kinds = ("charge.refunded", "refund.created", "charge.dispute.created", "charge.dispute.funds_withdrawn")
    await asyncio.gather(*(play(number, kind) for number, kind in enumerate(kinds)))


async def test_events_that_come_while_stripe_goes_on_end_as_stripe_ends(deaf: BillingStage) -> None:
    """Paid, partly refunded, disputed, won: at each point some events come at once, late ones with them."""
    bought, intent = await _purchase(deaf, "in-between")
    seen: list[dict[str, Any]] = []

    async def deliver_all_again() -> None:
        events = await _events_of(deaf, bought, intent)
        fresh = [each | {"id": f"{each['id']}x{len(seen)}"} for each in reversed(events)]
        seen.extend(fresh)
        await asyncio.gather(*(deliver(deaf, event) for event in fresh))
        await deaf.handled([event["id"] for event in fresh])

    await deliver_all_again()
    await deaf.has_in_books("in-between", granted=500_000)
    await deaf.stripe.client.v1.refunds.create_async({"payment_intent": intent, "amount": 1_000})
    await deliver_all_again()
    await deaf.has_in_books("in-between", granted=500_000, revoked=500_000 * 1_000 // 7_490)
    dispute = await deaf.stripe.dispute(intent, amount=6_490)
    await deliver_all_again()
    await deaf.has_in_books("in-between", granted=500_000, revoked=500_000)
    await deaf.stripe.move_dispute(dispute["id"], "won")
    await deliver_all_again()
    await deaf.has_in_books("in-between", granted=500_000, revoked=500_000 * 1_000 // 7_490)


async def test_a_second_session_that_is_paid_for_one_order_is_reported_and_credits_nothing(deaf: BillingStage) -> None:
    bought, intent = await _purchase(deaf, "paid-twice")
    own = await deaf.stripe.client.v1.checkout.sessions.list_async({"payment_intent": intent})
    customer = str(own.data[0].customer)
    second = await deaf.stripe.client.v1.checkout.sessions.create_async(
        {
            "mode": "payment",
            "customer": customer,
            "client_reference_id": bought["order_id"],
            "metadata": {"order_id": bought["order_id"]},
            "payment_intent_data": {"metadata": {"order_id": bought["order_id"]}},
            "line_items": [
                {"quantity": 1, "price_data": {"currency": "brl", "unit_amount": 7_490, "product_data": {"name": "x"}}}
            ],
            "success_url": "https://example.com",
        }
    )
    paid = await deaf.stripe.pay(str(second.url))
    events = await _events_of(deaf, bought, intent)
    events += await _events_of(deaf, bought, paid["payment_intent"])
    once = {each["id"]: each for each in events}
    for event in once.values():
        await deliver(deaf, event)
        await deaf.handled([event["id"]])
    await deaf.has_in_books("paid-twice", granted=500_000)
    changes = await deaf.rows("SELECT what FROM billing.order_changes WHERE order_id = $1", bought["order_id"])
    assert [each["what"] for each in changes].count("paid_twice") == 1
