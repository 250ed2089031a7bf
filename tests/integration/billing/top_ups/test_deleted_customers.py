"""A customer that somebody deleted in Stripe's dashboard: whatever needs one goes on without it."""

from tests.support.billing import BillingStage
from tests.support.billing_top_ups import KEY, LedgerPart, looked_at, orders_of, saves_a_card, tops_up
from tests.support.eventually import eventually


async def delete_customer_of(stage: BillingStage, payer_id: str) -> None:
    (known,) = await stage.rows("SELECT customer_id FROM billing.customers WHERE payer_id = $1", payer_id)
    await stage.stripe.client.v1.customers.delete_async(known["customer_id"])


async def test_auto_top_up_without_its_customer_is_paused_and_told(stage: BillingStage, ledger: LedgerPart) -> None:
    await tops_up(stage, "gone")
    await delete_customer_of(stage, "gone")
    ledger.left["gone"] = 10
    await ledger.uses("gone")

    async def paused() -> bool:
        (row,) = await stage.rows("SELECT paused_for FROM billing.top_ups WHERE account_id = 'gone'")
        assert row["paused_for"] == "authentication_required"
        assert (await stage.books("gone")).kinds == ("top_up_paused",)
        return True

    await eventually(paused, 20.0)
    assert await orders_of(stage, "gone") == []


async def test_a_card_is_saved_for_another_customer_and_auto_top_up_buys_again(
    stage: BillingStage, ledger: LedgerPart
) -> None:
    await tops_up(stage, "anew")
    await delete_customer_of(stage, "anew")
    await saves_a_card(stage, "anew")
    ledger.left["anew"] = 10
    await ledger.uses("anew")
    await stage.has_in_books("anew", granted=500_000)
    await looked_at(stage, "anew")


async def test_a_portal_without_its_customer_says_that_nothing_is_kept(stage: BillingStage) -> None:
    await saves_a_card(stage, "closed")
    await delete_customer_of(stage, "closed")
    answer = await stage.http.post(f"{stage.url}/billing/portal", json={"account_id": "closed"}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_customer")
