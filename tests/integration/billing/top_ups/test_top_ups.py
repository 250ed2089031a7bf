"""Auto top-up through a demo Stripe: bought once when it is low, never in a loop, paused when the card fails."""

import pytest

from tests.support.billing import BillingStage, empty_stage, link_token, running_billing
from tests.support.billing_top_ups import (
    KEY,
    LedgerPart,
    looked_at,
    orders_of,
    payments_of,
    put_top_up,
    saves_a_card,
    tops_up,
)
from tests.support.eventually import eventually


async def paused(stage: BillingStage, account_id: str, cause: str) -> None:
    async def is_paused() -> bool:
        (row,) = await stage.rows("SELECT paused_for FROM billing.top_ups WHERE account_id = $1", account_id)
        assert row["paused_for"] == cause
        return True

    await eventually(is_paused, 30.0)

    async def told() -> bool:
        assert (await stage.books(account_id)).kinds.count("top_up_paused") == 1
        return True

    await eventually(told, 20.0)


async def test_a_low_balance_is_topped_up_once(stage: BillingStage, ledger: LedgerPart) -> None:
    await tops_up(stage, "ana")
    assert await orders_of(stage, "ana") == []
    ledger.left["ana"] = 99_999
    await ledger.uses("ana", times=50)
    await stage.has_in_books("ana", granted=500_000)
    ledger.left["ana"] = 50_000  # the ledger has not heard of it yet, say
    await ledger.uses("ana", times=50)
    await looked_at(stage, "ana")
    (order,) = await orders_of(stage, "ana")
    assert (order["state"], order["paid_minor"], await payments_of(stage, "ana")) == ("paid", 7_490, ["succeeded"])


async def test_a_balance_that_fell_while_nobody_listened_is_seen_at_the_next_start(
    migrated_url: str, nats_url: str, ledger: LedgerPart
) -> None:
    """Nothing is heard of it any more, and the next look by time is an hour away."""
    async with empty_stage(migrated_url, nats_url, top_up_sweep_seconds=3600.0) as stage:
        async with running_billing(stage.settings):
            await tops_up(stage, "early")
        ledger.left["early"] = 10
        async with running_billing(stage.settings):
            await stage.has_in_books("early", granted=500_000)


async def test_nobody_is_asked_about_accounts_without_it(stage: BillingStage, ledger: LedgerPart) -> None:
    await tops_up(stage, "other")
    asked = ledger.asked
    await ledger.uses("nobody", times=200)
    ledger.left["other"] = 10
    await ledger.uses("other")
    await stage.has_in_books("other", granted=500_000)
    assert ledger.asked <= asked + 4
    assert await stage.rows("SELECT * FROM billing.top_ups WHERE account_id = 'nobody'") == []


async def test_a_thousand_events_with_a_failing_card_make_two_attempts_at_most(
    stage: BillingStage, ledger: LedgerPart
) -> None:
    await tops_up(stage, "bia")
    await stage.stripe.cards("declined", times=100)
    ledger.left["bia"] = -5
    await ledger.uses("bia", times=500)

    async def failed_once() -> bool:
        return [each["state"] for each in await orders_of(stage, "bia")] == ["failed"]

    await eventually(failed_once, 30.0)
    await looked_at(stage, "bia")
    assert await payments_of(stage, "bia") == ["canceled"]
    await stage.rows("UPDATE billing.orders SET created_at = created_at - interval '2 hours' WHERE account_id = 'bia'")
    await stage.rows("UPDATE billing.top_ups SET set_at = set_at - interval '1 day' WHERE account_id = 'bia'")
    await ledger.uses("bia", times=500)
    await paused(stage, "bia", "failed_twice")
    await ledger.uses("bia", times=50)
    assert [each["state"] for each in await orders_of(stage, "bia")] == ["failed", "failed"]
    assert await payments_of(stage, "bia") == ["canceled", "canceled"]
    assert (await stage.books("bia")).granted == 0


async def test_a_card_that_needs_its_owner_pauses_it_at_once(stage: BillingStage, ledger: LedgerPart) -> None:
    await tops_up(stage, "caio")
    await stage.stripe.cards("authentication_required", times=100)
    ledger.left["caio"] = 0
    await ledger.uses("caio", times=20)
    await paused(stage, "caio", "authentication_required")
    assert await payments_of(stage, "caio") == ["canceled"]


async def test_without_a_card_it_is_paused_and_nothing_is_ordered(stage: BillingStage, ledger: LedgerPart) -> None:
    await tops_up(stage, "dora", card=False)
    ledger.left["dora"] = 0
    await ledger.uses("dora")
    await paused(stage, "dora", "authentication_required")
    assert await orders_of(stage, "dora") == []


@pytest.mark.parametrize("mode", ["lost", "down"])
async def test_a_payment_whose_answer_never_comes_is_made_once(
    stage: BillingStage, ledger: LedgerPart, mode: str
) -> None:
    account = f"eva-{mode}"
    await tops_up(stage, account)
    # All three attempts of the SDK, so that billing itself has to find out what became of it.
    await stage.stripe.faults(mode, times=3, only="POST")
    ledger.left[account] = 0
    await ledger.uses(account)

    async def begun() -> bool:
        return len(await orders_of(stage, account)) == 1

    await eventually(begun, 20.0)

    async def over() -> bool:
        await stage.rows("UPDATE billing.top_ups SET look_due_at = now() WHERE account_id = $1", account)
        return [each["state"] for each in await orders_of(stage, account)] == ["paid"]

    await eventually(over, 40.0)
    assert await payments_of(stage, account) == ["succeeded"]
    await stage.has_in_books(account, granted=500_000)


async def test_an_order_that_was_written_and_never_paid_is_finished_once(
    stage: BillingStage, ledger: LedgerPart
) -> None:
    """As after kill -9 between the order and its payment, or between the payment and its note."""
    await tops_up(stage, "fabio")
    ledger.left["fabio"] = 0
    await ledger.uses("fabio")
    await stage.has_in_books("fabio", granted=500_000)
    forgotten = "state = 'created', paid_at = NULL, payment_intent_id = NULL"
    await stage.rows(f"UPDATE billing.orders SET {forgotten} WHERE account_id = 'fabio'")
    await stage.rows("UPDATE billing.top_ups SET look_due_at = now() WHERE account_id = 'fabio'")

    async def finished() -> bool:
        return [each["state"] for each in await orders_of(stage, "fabio")] == ["paid"]

    await eventually(finished, 30.0)
    assert await payments_of(stage, "fabio") == ["succeeded"]


async def test_a_refund_of_one_turns_it_off(stage: BillingStage, ledger: LedgerPart) -> None:
    await tops_up(stage, "gil")
    ledger.left["gil"] = 0
    await ledger.uses("gil")
    await stage.has_in_books("gil", granted=500_000)
    (order,) = await orders_of(stage, "gil")
    await stage.stripe.client.v1.refunds.create_async({"payment_intent": order["payment_intent_id"]})
    await stage.has_in_books("gil", granted=500_000, revoked=500_000)
    await ledger.uses("gil")
    await paused(stage, "gil", "taken_back")


async def test_what_could_only_loop_or_never_be_bought_is_refused(stage: BillingStage) -> None:
    useless = await put_top_up(stage, "hugo", below_tokens=500_000)
    assert (useless.status_code, useless.json()["code"]) == (422, "top_up_refused")
    too_low = await put_top_up(stage, "hugo", monthly_cap_minor=7_489)
    assert (too_low.status_code, too_low.json()["code"]) == (422, "top_up_refused")
    unknown = await put_top_up(stage, "hugo", package_id="huge")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_package")
    url = f"{stage.url}/billing/accounts/hugo/top-up"
    body = {"package_id": "small", "below_tokens": 1}
    assert (await stage.http.put(url, json=body)).status_code == 401
    assert (await stage.http.put(url, json={**body, "t": link_token("hugo")})).status_code == 422
    assert (await stage.http.get(url, headers=KEY)).json()["is_on"] is False


async def test_it_is_off_until_it_is_set_and_after_it_is_turned_off(stage: BillingStage, ledger: LedgerPart) -> None:
    await saves_a_card(stage, "iris")
    ledger.left["iris"] = 0
    url = f"{stage.url}/billing/accounts/iris/top-up"
    ledger.left["iris"] = 10**6
    await tops_up(stage, "iris", card=False)
    shown = (await stage.http.get(url, headers=KEY)).json()
    assert (shown["is_on"], shown["monthly_cap_minor"], shown["currency"]) == (True, 4 * 7_490, "brl")
    assert (await stage.http.delete(url, headers=KEY)).json()["is_on"] is False
    ledger.left["iris"] = 0
    await ledger.uses("iris", times=10)
    # Somebody else's purchase is made after the events were heard.
    await tops_up(stage, "joca")
    ledger.left["joca"] = 0
    await ledger.uses("joca")
    await stage.has_in_books("joca", granted=500_000)
    assert await orders_of(stage, "iris") == []


async def test_an_account_that_an_admin_blocked_is_bought_nothing(stage: BillingStage, ledger: LedgerPart) -> None:
    ledger.left["kim"] = 0
    ledger.blocked.add("kim")
    await tops_up(stage, "kim")
    assert await orders_of(stage, "kim") == []
    ledger.blocked.clear()
    await ledger.uses("kim")
    await stage.has_in_books("kim", granted=500_000)


async def test_what_was_begun_before_it_was_turned_off_is_ended_and_not_charged(
    stage: BillingStage, ledger: LedgerPart
) -> None:
    """As after kill -9 between the order and its payment, and before anybody looked again."""
    await tops_up(stage, "lia")
    ledger.left["lia"] = 0
    await ledger.uses("lia")
    await stage.has_in_books("lia", granted=500_000)
    # An order that Stripe never heard of.
    forgotten = "id = 'ord_never_asked', state = 'created', paid_at = NULL, payment_intent_id = NULL"
    await stage.rows("DELETE FROM billing.order_changes WHERE order_id IN (SELECT id FROM billing.orders)")
    await stage.rows(f"UPDATE billing.orders SET {forgotten} WHERE account_id = 'lia'")
    await stage.http.delete(f"{stage.url}/billing/accounts/lia/top-up", headers=KEY)

    async def ended() -> bool:
        (row,) = await stage.rows("SELECT look_due_at FROM billing.top_ups WHERE account_id = 'lia'")
        return row["look_due_at"] is None

    await eventually(ended, 30.0)
    assert [each["state"] for each in await orders_of(stage, "lia")] == ["failed"]
    assert await payments_of(stage, "lia") == ["succeeded"]
