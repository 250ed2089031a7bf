"""What operators' commands do through Stripe, on a demo: what is given back, what a warning of fraud took, cards."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.billing import BillingStage, operate_with_settings_of, staged_billing
from tests.support.billing_top_ups import saves_a_card
from tests.support.ledger_operate import Operate


@pytest_asyncio.fixture(scope="module")
async def stage(billing_url: str, nats_url: str) -> AsyncIterator[BillingStage]:
    async with staged_billing(billing_url, nats_url) as stage:
        yield stage


@pytest.fixture
def run(stage: BillingStage) -> Operate:
    return operate_with_settings_of(stage)


async def test_a_refund_goes_through_stripe_once_and_its_answer_may_be_lost(stage: BillingStage, run: Operate) -> None:
    bought = await _paid(stage, "given-back")
    part = await run("refund", order=bought["order_id"], amount=1_000, reason="a part")
    assert (part.code, part.json["status"], part.json["refunded_minor"]) == (0, "succeeded", 1_000)
    # Stripe does it, and its answers are lost, those to the SDK's own retries too.
    await stage.stripe.faults("lost", times=3, only="POST")
    lost = await run("refund", order=bought["order_id"], amount=490, reason="a part")
    assert lost.code == 1
    assert "does not answer" in lost.err
    await stage.stripe.faults("none")
    again = await run("refund", order=bought["order_id"], amount=490, reason="a part")
    assert (again.code, again.json["refunded_minor"]) == (0, 1_490)
    rest = await run("refund", order=bought["order_id"], reason="the rest")
    assert (rest.json["refund_minor"], rest.json["refunded_minor"]) == (6_000, 7_490)
    await stage.has_in_books("given-back", granted=500_000, revoked=500_000)
    (record,) = (await run("orders", account="given-back")).lines
    assert [each["reason"] for each in record["refunds"]] == ["a part", "a part", "the rest"]
    assert len(record["refunds"]) == 3


async def test_a_refund_that_fails_is_no_success(stage: BillingStage, run: Operate) -> None:
    bought = await _paid(stage, "not-given-back")
    await stage.stripe.refunds("failed")
    failed = await run("refund", order=bought["order_id"], reason="asked for")
    assert (failed.code, failed.json["status"], failed.json["refunded_minor"]) == (1, "failed", 0)


async def test_auto_top_up_without_a_card_says_so(stage: BillingStage, run: Operate) -> None:
    wanted = {"account": "cardless", "package": "small", "below": 100_000}
    set_up = await run("top-up", **wanted)
    assert (set_up.code, set_up.json["is_on"], set_up.json["has_card"]) == (0, True, False)
    await saves_a_card(stage, "cardless")
    assert (await run("top-up", **wanted)).json["has_card"] is True
    await stage.stripe.faults("down", times=9)
    unknown = await run("top-up", account="cardless")
    assert (unknown.code, unknown.json["is_on"], unknown.json["has_card"]) == (0, True, None)
    await stage.stripe.faults("none")
    assert "has_card" not in (await run("top-up", account="cardless", off="1")).json


async def test_an_order_with_a_discount_of_all_of_it_is_taken_back_without_stripe(
    stage: BillingStage, run: Operate
) -> None:
    coupons = stage.stripe.client.v1
    coupon = await coupons.coupons.create_async({"percent_off": 100, "duration": "once"})
    await coupons.promotion_codes.create_async({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "FREE"})
    bought = await stage.buy("free")
    await stage.stripe.pay(bought["checkout_url"], promotion_code="FREE")
    await stage.has_in_books("free", granted=500_000)
    refunded = (await run("refund", order=bought["order_id"], reason="by mistake")).json
    assert (refunded["status"], refunded["revoked_tokens"]) == ("succeeded", 500_000)
    await stage.has_in_books("free", granted=500_000, revoked=500_000)
    (await run("refund", order=bought["order_id"], reason="again")).assert_refused(2)
    assert (await run("billing-sync")).code == 0
    assert (await stage.row(bought["order_id"]))["revoked_tokens"] == 500_000


async def test_a_refund_that_stripe_refuses_stands_in_the_life_of_the_order(stage: BillingStage, run: Operate) -> None:
    bought = await stage.buy("boleto")
    paid = await stage.stripe.pay(bought["checkout_url"], "boleto", "later")
    await stage.stripe.complete_payment(paid["payment_intent"])
    await stage.reaches(bought["order_id"], "paid")
    (await run("refund", order=bought["order_id"], reason="a boleto gives nothing back")).assert_refused(1)
    life = (await run("orders", order=bought["order_id"], format="json")).json
    assert [change["what"] for change in life["changes"]][-2:] == ["refund_asked", "refund_refused"]
    assert life["changes"][-1]["why"] == "a boleto gives nothing back"


async def _paid(stage: BillingStage, account: str) -> dict[str, Any]:
    bought = await stage.buy(account)
    bought |= await stage.stripe.pay(bought["checkout_url"])
    await stage.reaches(bought["order_id"], "paid")
    await stage.all_handled()
    return bought


async def test_a_warning_of_fraud_is_lifted_by_whoever_knows_the_buyer(stage: BillingStage, run: Operate) -> None:
    bought = await _paid(stage, "known")
    order_id = bought["order_id"]
    (await run("unfreeze", order=order_id, reason="not warned")).assert_refused(2)
    await stage.stripe.warn_of_fraud(bought["payment_intent"])
    await stage.has_in_books("known", granted=500_000, revoked=500_000)
    lifted = await run("unfreeze", order=order_id, reason="a colleague, asked on the phone")
    assert (lifted.code, lifted.json["revoked_tokens"]) == (0, 0)
    await stage.has_in_books("known", granted=500_000, revoked=0)
    again = await run("unfreeze", order=order_id, reason="once more")
    assert (again.code, again.json["revoked_tokens"]) == (0, 0)
    changes = (await run("orders", order=order_id, format="json")).json["changes"]
    assert [change["why"] for change in changes if change["what"] == "warning_lifted"] == [
        "a colleague, asked on the phone"
    ]
    await stage.stripe.dispute(bought["payment_intent"])
    await stage.has_in_books("known", granted=500_000, revoked=500_000)
