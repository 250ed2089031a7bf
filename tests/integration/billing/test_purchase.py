"""A purchase from its beginning to its credits, and whatever becomes of it after."""

import asyncio
import re

import pytest

from tests.support.billing import SERVICE_KEY, BillingStage
from tests.support.eventually import eventually


async def test_a_package_is_bought_by_card(stage: BillingStage) -> None:
    bought = await stage.buy("card")
    assert (await stage.order(bought["order_id"]))["state"] == "open"
    await stage.stripe.pay(bought["checkout_url"])
    row = await stage.reaches(bought["order_id"], "paid")
    books = await stage.has_in_books("card", granted=500_000)
    assert (books.purchases, row["paid_minor"], row["currency"]) == (1, 7_490, "brl")
    assert await stage.order(bought["order_id"]) == {
        "order_id": bought["order_id"],
        "state": "paid",
        "tokens": 500_000,
        "amount_minor": 7_490,
        "currency": "brl",
        "revoked_tokens": 0,
    }


@pytest.mark.parametrize("method", ["pix", "boleto"])
async def test_what_is_paid_later_is_pending_and_then_credited(stage: BillingStage, method: str) -> None:
    account = f"later-{method}"
    bought = await stage.buy(account)
    paid = await stage.stripe.pay(bought["checkout_url"], method, "later")
    await stage.reaches(bought["order_id"], "pending")
    assert (await stage.books(account)).purchases == 0
    order_page = f"{stage.url}/buy/order/{bought['order_id']}"
    codes = re.findall(r'href="([^"]+/c/voucher/[^"]+)"', (await stage.http.get(order_page)).text)
    assert [(await stage.http.get(code)).status_code for code in codes] == [200]
    await stage.stripe.complete_payment(paid["payment_intent"])
    await stage.reaches(bought["order_id"], "paid")
    assert "/c/voucher/" not in (await stage.http.get(order_page)).text
    await stage.has_in_books(account, granted=500_000)


async def test_a_boleto_that_nobody_pays_fails_and_is_told(stage: BillingStage) -> None:
    bought = await stage.buy("lapsed")
    paid = await stage.stripe.pay(bought["checkout_url"], "boleto", "later")
    await stage.reaches(bought["order_id"], "pending")
    await stage.stripe.complete_payment(paid["payment_intent"], "failed")
    await stage.reaches(bought["order_id"], "failed")

    async def told() -> bool:
        return (await stage.books("lapsed")).kinds == ("payment_failed",)

    await eventually(told, 15.0)


async def test_a_declined_card_may_be_tried_again(stage: BillingStage) -> None:
    bought = await stage.buy("declined")
    await stage.stripe.pay(bought["checkout_url"], "card", "declined")
    await stage.all_handled()
    assert (await stage.row(bought["order_id"]))["state"] == "open"
    await stage.stripe.pay(bought["checkout_url"])
    await stage.has_in_books("declined", granted=500_000)


async def test_an_expired_checkout_ends_the_order_and_makes_room_for_another(stage: BillingStage) -> None:
    first = await stage.buy("expired")
    await stage.stripe.pay(first["checkout_url"], "card", "expired")
    await stage.reaches(first["order_id"], "expired")
    second = await stage.buy("expired")
    assert second["order_id"] != first["order_id"]
    await stage.stripe.pay(second["checkout_url"])
    await stage.has_in_books("expired", granted=500_000)


async def test_an_open_checkout_is_shown_again_however_many_ask_at_once(stage: BillingStage) -> None:
    answers = await asyncio.gather(*(stage.buy("double-click") for _ in range(8)))
    assert len({(each["order_id"], each["checkout_url"]) for each in answers}) == 1
    assert await stage.buy("double-click", "medium") not in answers
    assert await stage.buy("double-click", currency="usd") not in answers


async def test_whoever_has_a_link_pays_as_a_guest_whose_address_no_other_checkout_shows(stage: BillingStage) -> None:
    own = await stage.buy("shared")
    first = await stage.buy_by_link("shared")
    assert await stage.buy_by_link("shared") == first
    assert await stage.buy("shared") == own
    await stage.stripe.pay(first["checkout_url"])
    await stage.reaches(first["order_id"], "paid")
    second = await stage.buy_by_link("shared")
    customers = [(await stage.row(each["order_id"]))["customer_id"] for each in (own, first, second)]
    assert len(set(customers)) == 3
    assert None not in customers
    kept = await stage.rows("SELECT customer_id FROM billing.customers WHERE payer_id = 'shared'")
    assert [row["customer_id"] for row in kept] == customers[:1]


async def test_one_account_may_pay_for_another(stage: BillingStage) -> None:
    bought = await stage.buy("employee", payer_id="company")
    await stage.stripe.pay(bought["checkout_url"])
    await stage.has_in_books("employee", granted=500_000)
    row = await stage.row(bought["order_id"])
    customers = await stage.rows(
        "SELECT payer_id FROM billing.customers WHERE payer_id = ANY ($1)", ["employee", "company"]
    )
    assert (row["account_id"], row["payer_id"], customers) == ("employee", "company", [{"payer_id": "company"}])


async def test_a_price_in_another_currency_is_paid_in_it(stage: BillingStage) -> None:
    bought = await stage.buy("dollars", currency="usd")
    await stage.stripe.pay(bought["checkout_url"])
    row = await stage.reaches(bought["order_id"], "paid")
    assert (row["paid_minor"], row["currency"]) == (1_490, "usd")


async def test_a_purchase_through_a_blocked_webhook_is_credited_by_a_visit(stage: BillingStage) -> None:
    await stage.stripe.deliveries("drop")
    bought = await stage.buy("blocked")
    await stage.stripe.pay(bought["checkout_url"])

    async def paid() -> bool:
        return bool((await stage.order(bought["order_id"]))["state"] == "paid")

    await eventually(paid, 15.0)
    await stage.has_in_books("blocked", granted=500_000)


async def test_a_partial_refund_and_its_rest_take_back_all(stage: BillingStage) -> None:
    bought = await stage.buy("refunded")
    paid = await stage.stripe.pay(bought["checkout_url"])
    await stage.has_in_books("refunded", granted=500_000)
    for amount in (1, 2_497, 4_992):
        await stage.stripe.client.v1.refunds.create_async({"payment_intent": paid["payment_intent"], "amount": amount})
    await stage.has_in_books("refunded", granted=500_000, revoked=500_000)
    refunds = await stage.rows("SELECT amount_minor FROM billing.refunds WHERE order_id = $1", bought["order_id"])
    assert sorted(each["amount_minor"] for each in refunds) == [1, 2_497, 4_992]


async def test_a_refund_that_fails_later_gives_back(stage: BillingStage) -> None:
    bought = await stage.buy("unrefunded")
    paid = await stage.stripe.pay(bought["checkout_url"])
    await stage.has_in_books("unrefunded", granted=500_000)
    refund = await stage.stripe.client.v1.refunds.create_async({"payment_intent": paid["payment_intent"]})
    await stage.has_in_books("unrefunded", granted=500_000, revoked=500_000)
    await stage.stripe.complete_refund(refund.id, "failed")
    await stage.has_in_books("unrefunded", granted=500_000, revoked=0)


async def test_a_dispute_takes_back_and_gives_back_when_it_is_won(stage: BillingStage) -> None:
    bought = await stage.buy("disputed")
    paid = await stage.stripe.pay(bought["checkout_url"])
    await stage.has_in_books("disputed", granted=500_000)
    dispute = await stage.stripe.dispute(paid["payment_intent"])
    await stage.has_in_books("disputed", granted=500_000, revoked=500_000)
    await stage.stripe.move_dispute(dispute["id"], "won")
    await stage.has_in_books("disputed", granted=500_000, revoked=0)


async def test_an_inquiry_takes_nothing_back(stage: BillingStage) -> None:
    bought = await stage.buy("inquired")
    paid = await stage.stripe.pay(bought["checkout_url"])
    await stage.has_in_books("inquired", granted=500_000)
    await stage.stripe.dispute(paid["payment_intent"], "warning_needs_response")
    await stage.all_handled()

    async def noted() -> bool:
        found = await stage.rows("SELECT status FROM billing.disputes WHERE order_id = $1", bought["order_id"])
        return found == [{"status": "warning_needs_response"}]

    await eventually(noted, 15.0)
    await stage.has_in_books("inquired", granted=500_000, revoked=0)


async def test_an_early_warning_of_fraud_freezes_what_is_left(stage: BillingStage) -> None:
    bought = await stage.buy("warned")
    paid = await stage.stripe.pay(bought["checkout_url"])
    await stage.has_in_books("warned", granted=500_000)
    await stage.stripe.warn_of_fraud(paid["payment_intent"])
    await stage.has_in_books("warned", granted=500_000, revoked=500_000)


async def test_the_receipt_is_told_to_services_alone(stage: BillingStage) -> None:
    bought = await stage.buy("receipt")
    await stage.stripe.pay(bought["checkout_url"])
    await stage.reaches(bought["order_id"], "paid")
    assert "receipt_url" not in await stage.order(bought["order_id"])
    url = f"{stage.url}/billing/orders/{bought['order_id']}"
    told = await stage.http.get(url, headers={"authorization": f"Bearer {SERVICE_KEY}"})
    assert told.json()["receipt_url"].startswith(stage.stripe.url)
    page = await stage.http.get(f"{stage.url}/buy/order/{bought['order_id']}")
    assert (page.status_code, told.json()["receipt_url"] in page.text) == (200, False)
    assert (await stage.http.get(url, headers={"authorization": "Bearer sk-wrong"})).status_code == 401
