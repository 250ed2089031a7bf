"""A plan's life through a demo Stripe whose clock is moved: bought, renewed, changed, unpaid, ended."""

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import pytest
import stripe
from billing.domain.plan_prices import PlanPrices
from billing.stripe_api import clock
from billing.stripe_api.client import StripeApi
from billing.stripe_api.subscriptions import fetch_subscription
from msgspec import Struct

from tests.support.billing import SERVICE_KEY, BillingStage, link_token
from tests.support.billing_plans import DAY, HOUR, MONTH, change_plan, says, state_at_stripe, subscribe, subscribed
from tests.support.demo_stripe import API_KEY
from tests.support.eventually import eventually


async def test_a_plan_is_bought_and_renewed(stage: BillingStage) -> None:
    subscription = await subscribed(stage, "ana")
    await stage.stripe.advance(MONTH + 2 * HOUR)
    await says(stage, "ana", ["started basic", "renewed basic"])
    (row,) = await stage.rows("SELECT * FROM billing.subscriptions WHERE id = $1", subscription)
    assert (row["plan"], row["status"], row["standing"], row["revision"]) == ("basic", "active", "sole", 2)
    paid = await stage.rows("SELECT paid_minor, plan FROM billing.subscription_invoices WHERE status = 'paid'")
    assert [(each["paid_minor"], each["plan"]) for each in paid] == [(12_490, "basic")] * 2


async def test_a_clock_that_is_moved_while_stripe_is_asked_makes_no_renewal_late(stage: BillingStage) -> None:
    subscription = await subscribed(stage, "nara")
    await stage.all_handled()
    async with _ClockMovingApi(stage) as api:
        facts = await fetch_subscription(api, subscription, PlanPrices(by_price={}, by_product={}))
    paid = [line for invoice in facts.invoices if invoice.status == "paid" for line in invoice.lines]
    assert max(line.ends_at for line in paid) > facts.as_of


class _ClockMovingApi(StripeApi):
    """Lets more than a month pass after the first answer."""

    def __init__(self, stage: BillingStage) -> None:
        super().__init__(API_KEY, base=stage.stripe.url, seconds=10)
        self._stripe, self._is_moved = stage.stripe, False

    async def call[Wire: Struct](self, request: Awaitable[stripe.StripeObject], wire: type[Wire]) -> Wire:
        answer = await super().call(request, wire)
        if not self._is_moved:
            self._is_moved = True
            await self._stripe.advance(MONTH + 2 * HOUR)
        return answer


async def test_a_clock_of_ours_that_is_days_ahead_ends_nothing(
    stage: BillingStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = await subscribed(stage, "ugo")
    monkeypatch.setattr(clock, "our_time", lambda: datetime.now(UTC) + timedelta(days=40))
    async with StripeApi(API_KEY, base=stage.stripe.url, seconds=10) as api:
        facts = await fetch_subscription(api, subscription, PlanPrices(by_price={}, by_product={}))
    assert facts.as_of < facts.invoices[0].lines[0].ends_at


async def test_an_upgrade_is_given_at_once_and_a_downgrade_at_the_period_s_end(stage: BillingStage) -> None:
    subscription = await subscribed(stage, "bia")
    await change_plan(stage, subscription, "premium", proration_behavior="always_invoice")
    await says(stage, "bia", ["started basic", "upgraded premium"])
    await change_plan(stage, subscription, "pro", proration_behavior="none")
    await stage.all_handled()
    await stage.stripe.advance(20 * DAY)
    await says(stage, "bia", ["started basic", "upgraded premium"])
    await stage.stripe.advance(MONTH - 20 * DAY + 2 * HOUR)
    await says(stage, "bia", ["started basic", "upgraded premium", "downgraded pro"])


async def test_an_upgrade_that_the_card_does_not_pay_gives_nothing(stage: BillingStage) -> None:
    subscription = await subscribed(stage, "caio")
    await stage.stripe.cards("declined")
    await change_plan(stage, subscription, "premium", proration_behavior="always_invoice")
    await stage.all_handled()
    await says(stage, "caio", ["started basic"])


@pytest.mark.parametrize("way", ["cancel_at_period_end", "cancel_at"])
async def test_a_cancellation_ends_the_plan_with_its_period(stage: BillingStage, way: str) -> None:
    account = f"dora-{way}"
    subscription = await subscribed(stage, account)
    found = await stage.stripe.client.v1.subscriptions.retrieve_async(subscription)
    ends_at = found["items"].data[0].current_period_end
    wanted = {"cancel_at_period_end": True} if way == "cancel_at_period_end" else {"cancel_at": ends_at}
    await stage.stripe.client.v1.subscriptions.update_async(subscription, wanted)  # type: ignore[arg-type]
    await stage.stripe.advance(20 * DAY)
    await stage.all_handled()
    await says(stage, account, ["started basic"])
    await stage.stripe.advance(12 * DAY)
    await says(stage, account, ["started basic", "ended cancelled"])


async def test_an_unpaid_renewal_is_told_twice_and_then_ends_the_plan_until_it_is_paid(stage: BillingStage) -> None:
    subscription = await subscribed(stage, "eva")
    found = await stage.stripe.client.v1.subscriptions.retrieve_async(subscription)
    to_the_end = found["items"].data[0].current_period_end - found["items"].data[0].current_period_start
    await stage.stripe.cards("declined", times=9)
    await stage.stripe.advance(to_the_end + 2 * HOUR)
    await says(stage, "eva", ["started basic", "reminder 1"])
    await stage.stripe.advance(2 * DAY)
    await says(stage, "eva", ["started basic", "reminder 1", "reminder 2"])
    await stage.stripe.advance(DAY)
    told = ["started basic", "reminder 1", "reminder 2", "ended unpaid"]
    await says(stage, "eva", told)
    await stage.stripe.cards("ok", times=9)
    await stage.stripe.advance(6 * DAY)
    await says(stage, "eva", [*told, "renewed basic"])


async def test_what_time_alone_ends_is_ended_though_no_event_comes(stage: BillingStage) -> None:
    subscription = await subscribed(stage, "gil")
    await stage.all_handled()
    await stage.stripe.deliveries("drop")
    await stage.stripe.client.v1.subscriptions.update_async(subscription, {"cancel_at_period_end": True})
    await stage.stripe.advance(MONTH + DAY)
    await says(stage, "gil", ["started basic", "ended cancelled"])


async def test_a_refunded_payment_takes_the_plan(stage: BillingStage) -> None:
    subscription = await subscribed(stage, "hugo")
    (invoice,) = await stage.rows(
        "SELECT payment_intent_id FROM billing.subscription_invoices WHERE subscription_id = $1", subscription
    )
    await stage.stripe.client.v1.refunds.create_async({"payment_intent": invoice["payment_intent_id"]})
    await says(stage, "hugo", ["started basic", "ended taken_back"])


async def test_a_dispute_takes_the_plan_and_a_won_one_gives_it_back(stage: BillingStage) -> None:
    subscription = await subscribed(stage, "iris")
    (invoice,) = await stage.rows(
        "SELECT payment_intent_id FROM billing.subscription_invoices WHERE subscription_id = $1", subscription
    )
    dispute = await stage.stripe.dispute(invoice["payment_intent_id"])
    await says(stage, "iris", ["started basic", "ended taken_back"])
    await stage.stripe.move_dispute(dispute["id"], "won")
    await says(stage, "iris", ["started basic", "ended taken_back", "renewed basic"])


async def test_an_open_checkout_is_shown_again_and_another_plan_ends_it(stage: BillingStage) -> None:
    first = await subscribe(stage, "joca")
    assert await subscribe(stage, "joca") == first
    second = await subscribe(stage, "joca", "pro")
    assert second["order_id"] != first["order_id"]
    assert (await stage.row(first["order_id"]))["state"] == "expired"


async def test_a_checkout_is_shown_to_whom_it_was_made_for_alone(stage: BillingStage) -> None:
    first = await subscribe(stage, "olga", payer_id="company")
    second = await subscribe(stage, "olga")
    assert second["checkout_url"] != first["checkout_url"]
    assert (await stage.row(first["order_id"]))["state"] == "expired"


async def test_who_has_a_plan_that_is_paid_is_sold_no_second_one(stage: BillingStage) -> None:
    await subscribed(stage, "kim")
    answer = await stage.http.post(f"{stage.url}/billing/subscribe", json={"plan_id": "pro", "t": link_token("kim")})
    assert (answer.status_code, answer.json()["code"]) == (409, "already_subscribed")


async def with_a_failed_renewal(stage: BillingStage, account_id: str) -> str:
    subscription = await subscribed(stage, account_id)
    await stage.stripe.cards("declined", times=9)
    await stage.stripe.advance(MONTH + 2 * HOUR)
    await says(stage, account_id, ["started basic", "reminder 1"])
    return subscription


async def test_a_new_one_replaces_one_whose_renewal_failed(stage: BillingStage) -> None:
    first = await with_a_failed_renewal(stage, "lia")
    begun = await subscribe(stage, "lia", "pro")
    await stage.stripe.cards("ok", times=1)
    await stage.stripe.pay(begun["checkout_url"])
    await says(stage, "lia", ["started basic", "reminder 1", "ended replaced", "started pro"])

    async def ended() -> bool:
        return await state_at_stripe(stage, first) == ("canceled", ["void", "paid"])

    await eventually(ended, 20.0)


async def test_the_second_of_two_that_are_paid_is_cancelled_refunded_and_reported(stage: BillingStage) -> None:
    first = await with_a_failed_renewal(stage, "mia")
    begun = await subscribe(stage, "mia", "pro")
    await stage.stripe.cards("ok", times=9)
    unpaid = await stage.stripe.client.v1.invoices.list_async({"subscription": first, "status": "open"})
    await stage.stripe.client.v1.invoices.pay_async(str(unpaid.data[0].id))
    told = ["started basic", "reminder 1", "renewed basic"]
    await says(stage, "mia", told)
    paid = await stage.stripe.pay(begun["checkout_url"])

    async def given_back() -> bool:
        return await state_at_stripe(stage, paid["subscription"]) == ("canceled", ["refunded"])

    await eventually(given_back, 20.0)
    await says(stage, "mia", told)
    assert (await state_at_stripe(stage, first))[0] == "active"
    rows = await stage.rows("SELECT id, standing, plan FROM billing.subscriptions WHERE account_id = 'mia'")
    assert {each["id"]: (each["standing"], each["plan"]) for each in rows} == {
        first: ("sole", "basic"),
        paid["subscription"]: ("superfluous", None),
    }
    (line,) = await stage.rows(
        "SELECT what FROM billing.subscription_changes WHERE subscription_id = $1 AND what = 'superfluous'",
        paid["subscription"],
    )
    assert line


async def test_a_boleto_is_awaited_and_then_gives_the_plan(stage: BillingStage) -> None:
    begun = await subscribe(stage, "mara")
    paid = await stage.stripe.pay(begun["checkout_url"], "boleto", "later")
    await stage.reaches(begun["order_id"], "pending")
    again = await subscribe(stage, "mara", "pro")
    assert again["order_id"] == begun["order_id"]
    invoices = await stage.stripe.client.v1.invoices.list_async(
        {"subscription": paid["subscription"], "expand": ["data.payments"]}
    )
    payment = invoices.data[0].payments.data[0].payment.payment_intent  # type: ignore[union-attr]
    await stage.stripe.complete_payment(str(payment))
    await says(stage, "mara", ["started basic"])


async def test_a_boleto_that_lapses_fails_its_order_and_another_plan_may_be_bought(stage: BillingStage) -> None:
    begun = await subscribe(stage, "olga")
    await stage.stripe.pay(begun["checkout_url"], "boleto", "later")
    await stage.reaches(begun["order_id"], "pending")
    (payment,) = (await stage.stripe.client.v1.payment_intents.list_async()).data
    await stage.stripe.complete_payment(payment.id, "failed")
    await stage.reaches(begun["order_id"], "failed")
    again = await subscribe(stage, "olga", "pro")
    assert again["order_id"] != begun["order_id"]
    await stage.stripe.pay(again["checkout_url"])
    await says(stage, "olga", ["started pro"])


async def test_the_portal_is_that_of_who_pays_the_plan_also_where_it_was_begun_with_a_link(stage: BillingStage) -> None:
    answer = await stage.http.post(
        f"{stage.url}/billing/subscribe", json={"plan_id": "basic", "t": link_token("iracema")}
    )
    assert answer.status_code == 200, answer.text
    await stage.stripe.pay(answer.json()["checkout_url"])
    await says(stage, "iracema", ["started basic"])
    key = {"authorization": f"Bearer {SERVICE_KEY}"}
    opened = await stage.http.post(f"{stage.url}/billing/portal", json={"account_id": "iracema"}, headers=key)
    assert opened.status_code == 200, opened.text
    assert await stage.rows("SELECT customer_id FROM billing.customers WHERE payer_id = 'iracema'") == []


async def test_a_boleto_that_is_awaited_for_weeks_keeps_nobody_from_a_plan(stage: BillingStage) -> None:
    begun = await subscribe(stage, "paula")
    await stage.stripe.pay(begun["checkout_url"], "boleto", "later")
    await stage.reaches(begun["order_id"], "pending")
    aged = "UPDATE billing.orders SET created_at = now() - $2 * interval '1 day' WHERE id = $1 RETURNING id"
    for days, is_same in ((13, True), (15, False)):
        await stage.rows(aged, begun["order_id"], days)
        assert ((await subscribe(stage, "paula"))["order_id"] == begun["order_id"]) is is_same


async def test_the_portal_is_opened_by_a_service_alone(stage: BillingStage) -> None:
    await subscribed(stage, "nina")
    url = f"{stage.url}/billing/portal"
    key = {"authorization": f"Bearer {SERVICE_KEY}"}
    opened = await stage.http.post(url, json={"account_id": "nina"}, headers=key)
    assert opened.status_code == 200, opened.text
    assert opened.json()["portal_url"].startswith(stage.stripe.url)
    assert (await stage.http.post(url, json={"account_id": "nina"})).status_code == 401
    with_link = await stage.http.post(url, json={"account_id": "nina", "t": link_token("nina")})
    assert with_link.status_code == 422
    stranger = await stage.http.post(url, json={"account_id": "nobody"}, headers=key)
    assert (stranger.status_code, stranger.json()["code"]) == (404, "unknown_customer")
