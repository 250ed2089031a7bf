"""Subscriptions of the demo Stripe: begun on a page, renewed by its clock, changed, unpaid, ended."""

from typing import Any

import pytest
import stripe
from local_run.demo_stripe.wire.shapes import problems_of

from tests.support.demo_stripe import StripeStage, start_demo_stripe

DAY = 86_400
MONTH = 32 * DAY
KINDS = (
    "subscription",
    "billing_portal.configuration",
    "billing_portal.session",
    "invoice",
    "invoice_payment",
    "checkout.session",
    "event",
    "setup_intent",
)


@pytest.fixture
async def stage() -> Any:
    async with start_demo_stripe() as running:
        yield running
        wrong = [each for kind in KINDS for thing in running.demo.world.all_of(kind) for each in problems_of(thing)]
        assert wrong == []


async def price(stage: StripeStage, amount: int, name: str) -> str:
    made = await stage.client.v1.prices.create_async(
        {
            "currency": "brl",
            "unit_amount": amount,
            "recurring": {"interval": "month"},
            "product_data": {"name": name},
            "lookup_key": name,
        }
    )
    return made.id


async def subscribed(stage: StripeStage, amount: int = 12_900, **more: Any) -> stripe.Subscription:
    session = await open_session(stage, amount, **more)
    paid = await stage.pay(str(session.url))
    assert (paid["status"], paid["payment_status"]) == ("complete", "paid")
    return await stage.client.v1.subscriptions.retrieve_async(paid["subscription"])


async def open_session(stage: StripeStage, amount: int = 12_900, **more: Any) -> stripe.checkout.Session:
    customer = await stage.client.v1.customers.create_async({"email": "ana@example.com"})
    parameters: Any = {
        "mode": "subscription",
        "customer": customer.id,
        "line_items": [{"price": await price(stage, amount, "basic"), "quantity": 1}],
        "subscription_data": {"metadata": {"account": "ana"}},
        "success_url": "http://127.0.0.1/done",
        **more,
    }
    return await stage.client.v1.checkout.sessions.create_async(parameters)


async def types(stage: StripeStage) -> list[str]:
    found = await stage.client.v1.events.list_async({"limit": 100})
    return [str(event.type) async for event in found.auto_paging_iter()][::-1]


async def test_a_subscription_is_active_when_its_first_invoice_is_paid(stage: StripeStage) -> None:
    subscription = await subscribed(stage)
    (item,) = subscription["items"].data
    assert (subscription.status, subscription.metadata["account"]) == ("active", "ana")
    assert 28 * DAY <= item.current_period_end - item.current_period_start <= 31 * DAY
    invoice = await stage.client.v1.invoices.retrieve_async(str(subscription.latest_invoice), {"expand": ["payments"]})
    assert invoice.parent is not None
    assert invoice.parent.subscription_details is not None
    assert invoice.parent.subscription_details.subscription == subscription.id
    assert (invoice.status, invoice.billing_reason, invoice.total) == ("paid", "subscription_create", 12_900)
    told = await types(stage)
    order = [
        "customer.subscription.created",
        "invoice.paid",
        "customer.subscription.updated",
        "checkout.session.completed",
    ]
    assert [each for each in told if each in order] == order


async def test_a_declined_card_begins_no_subscription(stage: StripeStage) -> None:
    session = await open_session(stage)
    declined = await stage.pay(str(session.url), outcome="declined")
    assert (declined["status"], declined["subscription"]) == ("open", None)


async def test_a_renewal_is_paid_an_hour_after_its_period_began(stage: StripeStage) -> None:
    subscription = await subscribed(stage)
    end = subscription["items"].data[0].current_period_end
    ahead = end - stage.demo.world.now()
    await stage.advance(ahead + 60)
    renewed = await stage.client.v1.subscriptions.retrieve_async(subscription.id, {"expand": ["latest_invoice"]})
    assert renewed["items"].data[0].current_period_start == end
    assert isinstance(renewed.latest_invoice, stripe.Invoice)
    assert (renewed.latest_invoice.status, renewed.latest_invoice.billing_reason) == ("draft", "subscription_cycle")
    await stage.advance(3_600)
    invoice = await stage.client.v1.invoices.retrieve_async(renewed.latest_invoice.id)
    assert (invoice.status, invoice.amount_paid) == ("paid", 12_900)
    assert [line.period.start for line in invoice.lines.data] == [end]


async def test_a_failed_renewal_is_past_due_tried_again_and_paid_by_hand(stage: StripeStage) -> None:
    subscription = await subscribed(stage)
    await stage.cards("declined", times=2)
    await stage.advance(MONTH)
    late = await stage.client.v1.subscriptions.retrieve_async(subscription.id)
    assert late.status == "past_due"
    invoice = str(late.latest_invoice)
    with pytest.raises(stripe.CardError) as raised:
        await stage.client.v1.invoices.pay_async(invoice)
    assert raised.value.code == "card_declined"
    paid = await stage.client.v1.invoices.pay_async(invoice)
    assert paid.status == "paid"
    assert (await stage.client.v1.subscriptions.retrieve_async(subscription.id)).status == "active"
    with pytest.raises(stripe.InvalidRequestError, match="Invoice is already paid"):
        await stage.client.v1.invoices.pay_async(invoice)
    assert {"invoice.payment_failed", "invoice.paid"} <= set(await types(stage))


async def test_a_renewal_that_never_succeeds_ends_the_subscription(stage: StripeStage) -> None:
    subscription = await subscribed(stage)
    await stage.cards("declined", times=20)
    await stage.advance(MONTH + 20 * DAY)
    ended = await stage.client.v1.subscriptions.retrieve_async(subscription.id)
    assert ended.status == "canceled"
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.reason == "payment_failed"
    assert (await types(stage)).count("invoice.payment_failed") == 4


async def test_an_upgrade_is_charged_for_the_rest_of_the_period_at_once(stage: StripeStage) -> None:
    subscription = await subscribed(stage, 10_000)
    (item,) = subscription["items"].data
    half = (item.current_period_end - item.current_period_start) // 2
    await stage.advance(item.current_period_start + half - stage.demo.world.now())
    upgraded = await stage.client.v1.subscriptions.update_async(
        subscription.id,
        {
            "items": [{"id": item.id, "price": await price(stage, 20_000, "pro")}],
            "proration_behavior": "always_invoice",
            "payment_behavior": "error_if_incomplete",
            "expand": ["latest_invoice"],
        },
    )
    assert upgraded["items"].data[0].current_period_end == item.current_period_end
    invoice = upgraded.latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert (invoice.billing_reason, invoice.status) == ("subscription_update", "paid")
    assert abs(invoice.total - 5_000) <= 1
    assert [line.amount < 0 for line in invoice.lines.data] == [True, False]


async def test_an_upgrade_that_is_not_paid_changes_nothing(stage: StripeStage) -> None:
    subscription = await subscribed(stage, 10_000)
    (item,) = subscription["items"].data
    await stage.cards("declined")
    with pytest.raises(stripe.CardError):
        await stage.client.v1.subscriptions.update_async(
            subscription.id,
            {
                "items": [{"id": item.id, "price": await price(stage, 20_000, "pro")}],
                "proration_behavior": "always_invoice",
                "payment_behavior": "error_if_incomplete",
            },
        )
    left = await stage.client.v1.subscriptions.retrieve_async(subscription.id)
    assert (left.status, left["items"].data[0].price.id) == ("active", item.price.id)
    assert left.latest_invoice == subscription.latest_invoice


async def test_a_downgrade_gives_credit_that_pays_the_next_invoice(stage: StripeStage) -> None:
    subscription = await subscribed(stage, 20_000)
    (item,) = subscription["items"].data
    await stage.client.v1.subscriptions.update_async(
        subscription.id,
        {
            "items": [{"id": item.id, "price": await price(stage, 10_000, "small")}],
            "proration_behavior": "always_invoice",
        },
    )
    customer = await stage.client.v1.customers.retrieve_async(str(subscription.customer))
    assert customer.balance is not None
    assert abs(customer.balance + 10_000) <= 1
    await stage.advance(MONTH)
    renewed = await stage.client.v1.subscriptions.retrieve_async(subscription.id, {"expand": ["latest_invoice"]})
    assert isinstance(renewed.latest_invoice, stripe.Invoice)
    assert (renewed.latest_invoice.status, renewed.latest_invoice.total) == ("paid", 10_000)
    assert renewed.latest_invoice.amount_paid <= 1


async def test_a_cancellation_at_the_period_s_end_can_be_taken_back_until_then(stage: StripeStage) -> None:
    subscription = await subscribed(stage)
    update = stage.client.v1.subscriptions.update_async
    leaving = await update(subscription.id, {"cancel_at_period_end": True})
    assert (leaving.status, leaving.cancel_at) == ("active", subscription["items"].data[0].current_period_end)
    staying = await update(subscription.id, {"cancel_at_period_end": False})
    assert (staying.cancel_at, staying.canceled_at) == (None, None)
    await update(subscription.id, {"cancel_at_period_end": True})
    await stage.advance(MONTH)
    assert (await stage.client.v1.subscriptions.retrieve_async(subscription.id)).status == "canceled"
    assert (await types(stage))[-1] == "customer.subscription.deleted"
    assert (await stage.client.v1.subscriptions.list_async()).data == []


async def test_a_boleto_begins_a_subscription_when_it_is_paid(stage: StripeStage) -> None:
    session = await open_session(stage)
    later = await stage.pay(str(session.url), "boleto", "later")
    waiting = await stage.client.v1.subscriptions.retrieve_async(later["subscription"], {"expand": ["latest_invoice"]})
    assert (waiting.status, later["payment_status"]) == ("incomplete", "unpaid")
    assert isinstance(waiting.latest_invoice, stripe.Invoice)
    (intent,) = (await stage.client.v1.payment_intents.list_async()).data
    await stage.complete_payment(intent.id)
    begun = await stage.client.v1.subscriptions.retrieve_async(later["subscription"])
    assert begun.status == "active"
    assert "checkout.session.async_payment_succeeded" in await types(stage)


async def test_a_boleto_that_nobody_pays_begins_nothing(stage: StripeStage) -> None:
    session = await open_session(stage)
    later = await stage.pay(str(session.url), "boleto", "later")
    await stage.advance(2 * DAY)
    waiting = await stage.client.v1.subscriptions.retrieve_async(later["subscription"])
    assert waiting.status == "incomplete"
    await stage.advance(2 * DAY)
    lapsed = await stage.client.v1.subscriptions.retrieve_async(later["subscription"])
    assert lapsed.status == "incomplete_expired"
    told = await types(stage)
    assert {"payment_intent.payment_failed", "invoice.voided", "checkout.session.async_payment_failed"} <= set(told)


async def test_a_promotion_code_makes_a_first_period_free(stage: StripeStage) -> None:
    coupon = await stage.client.v1.coupons.create_async({"percent_off": 100, "duration": "once"})
    promotion: Any = {"type": "coupon", "coupon": coupon.id}
    await stage.client.v1.promotion_codes.create_async({"promotion": promotion, "code": "GRATIS"})
    session = await open_session(stage, allow_promotion_codes=True)
    paid = await stage.pay(str(session.url), promotion_code="gratis")
    assert (paid["payment_status"], paid["amount_total"]) == ("no_payment_required", 0)
    assert (await stage.client.v1.subscriptions.retrieve_async(paid["subscription"])).status == "active"
    await stage.advance(MONTH)
    invoices = await stage.client.v1.invoices.list_async({"subscription": paid["subscription"]})
    assert [each.amount_paid for each in invoices.data] == [12_900, 0]


async def test_a_saved_card_is_charged_off_session_and_can_be_declined(stage: StripeStage) -> None:
    customer = await stage.client.v1.customers.create_async({"email": "ana@example.com"})
    session = await stage.client.v1.checkout.sessions.create_async(
        {"mode": "setup", "customer": customer.id, "currency": "brl", "success_url": "http://127.0.0.1/done"}
    )
    await stage.pay(str(session.url))
    (card,) = (await stage.client.v1.customers.payment_methods.list_async(customer.id)).data
    charge: Any = {
        "amount": 7_490,
        "currency": "brl",
        "customer": customer.id,
        "payment_method": card.id,
        "off_session": True,
        "confirm": True,
    }
    assert (await stage.client.v1.payment_intents.create_async(charge)).status == "succeeded"
    await stage.cards("authentication_required")
    with pytest.raises(stripe.CardError) as raised:
        await stage.client.v1.payment_intents.create_async(charge, {"idempotency_key": "top-up-1"})
    assert raised.value.code == "authentication_required"
    with pytest.raises(stripe.CardError):  # the same answer, and no second attempt
        await stage.client.v1.payment_intents.create_async(charge, {"idempotency_key": "top-up-1"})
    assert (await types(stage)).count("payment_intent.payment_failed") == 1


async def test_the_portal_cancels_keeps_and_changes_as_its_configuration_allows(stage: StripeStage) -> None:
    subscription = await subscribed(stage, 20_000)
    cheap = await price(stage, 10_000, "small")
    product = (await stage.client.v1.prices.retrieve_async(cheap)).product
    features: Any = {
        "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
        "subscription_update": {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "products": [{"product": product, "prices": [cheap]}],
            "schedule_at_period_end": {"conditions": [{"type": "decreasing_item_amount"}]},
        },
    }
    configuration = await stage.client.v1.billing_portal.configurations.create_async({"features": features})
    portal = await stage.client.v1.billing_portal.sessions.create_async(
        {"customer": str(subscription.customer), "configuration": configuration.id, "return_url": "http://127.0.0.1/"}
    )
    page = await stage.http.get(portal.url, headers={"accept-language": "pt-BR"})
    assert "demonstração" in page.text.lower()
    assert "R$ 100,00" in page.text
    leaving = await stage.on_portal(portal.url, subscription.id, do="cancel")
    assert leaving["cancel_at_period_end"] is True
    await stage.on_portal(portal.url, subscription.id, do="resume")
    unchanged = await stage.on_portal(portal.url, subscription.id, change=cheap)
    assert unchanged["items"]["data"][0]["price"]["id"] != cheap
    await stage.advance(MONTH)
    changed = await stage.client.v1.subscriptions.retrieve_async(subscription.id, {"expand": ["latest_invoice"]})
    assert changed["items"].data[0].price.id == cheap
    assert isinstance(changed.latest_invoice, stripe.Invoice)
    assert (changed.latest_invoice.status, changed.latest_invoice.total) == ("paid", 10_000)


async def test_an_invoice_s_page_pays_what_a_renewal_did_not(stage: StripeStage) -> None:
    subscription = await subscribed(stage)
    await stage.cards("declined")
    await stage.advance(MONTH)
    late = await stage.client.v1.subscriptions.retrieve_async(subscription.id, {"expand": ["latest_invoice"]})
    assert isinstance(late.latest_invoice, stripe.Invoice)
    page = str(late.latest_invoice.hosted_invoice_url)
    assert (await stage.http.get(page)).status_code == 200
    refused = await stage.http.post(page, data={"outcome": "declined"})
    assert refused.status_code == 402
    await stage.http.post(page, data={"outcome": "paid"})
    assert (await stage.client.v1.subscriptions.retrieve_async(subscription.id)).status == "active"
