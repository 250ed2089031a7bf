"""A plan whose Checkout stays unpaid for good: its first invoice was paid on a page of its own."""

import pytest

from tests.support.billing import BillingStage
from tests.support.billing_plans import MONTH, says, subscribe


@pytest.mark.parametrize("outcomes", [["paid"], ["declined", "paid"]], ids=["at-once", "at-the-second-try"])
async def test_a_boleto_instead_of_which_a_card_pays_the_invoice_gives_the_plan(
    stage: BillingStage, outcomes: list[str]
) -> None:
    account = f"late-{len(outcomes)}"
    begun = await subscribe(stage, account)
    waiting = await stage.stripe.pay(begun["checkout_url"], "boleto", "later")
    await stage.reaches(begun["order_id"], "pending")
    for outcome in outcomes:
        await stage.http.post(f"{stage.stripe.url}/i/{waiting['invoice']}", json={"outcome": outcome})
    session = await stage.stripe.client.v1.checkout.sessions.retrieve_async(waiting["id"])
    assert session.payment_status == "unpaid"
    await says(stage, account, ["started basic"])
    assert (await stage.row(begun["order_id"]))["state"] == "paid"
    await stage.all_handled()
    await stage.stripe.advance(MONTH)
    await says(stage, account, ["started basic", "renewed basic"])
