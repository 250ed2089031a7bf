"""What was missed of Stripe's is fetched and followed, and what nobody can explain is told, on a demo Stripe."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from billing.operate.__main__ import VERBS

from tests.support.billing import BillingStage, environment_of, operate_with_settings_of, staged_billing
from tests.support.billing_plans import HOUR, MONTH, change_plan, says, subscribe, subscribed
from tests.support.ledger_operate import Operate, Ran, operate_on


@pytest_asyncio.fixture(scope="module")
async def stage(billing_url: str, nats_url: str) -> AsyncIterator[BillingStage]:
    # Nobody sweeps while a test looks: what is found is found by the verb.
    async with staged_billing(billing_url, nats_url, sweep_seconds=3600) as stage:
        yield stage


@pytest.fixture
def sync(stage: BillingStage) -> Operate:
    return operate_with_settings_of(stage)


def _done(ran: Ran) -> dict[str, Any]:
    assert ran.err == "", ran
    found: dict[str, Any] = ran.lines[-1]
    return found


async def _dropped_purchase(stage: BillingStage, account: str, **more: Any) -> dict[str, Any]:
    """Paid at Stripe, which tells nobody."""
    await stage.stripe.deliveries("drop")
    bought = await stage.buy(account, **more)
    bought |= await stage.stripe.pay(bought["checkout_url"])
    await stage.stripe.deliveries("normal")
    return bought


async def _rows(stage: BillingStage) -> str:
    """What stands in billing's tables, but for when it was looked at last."""
    tables = ("orders", "order_changes", "refunds", "disputes", "outbox", "webhook_events", "subscriptions")
    found = {}
    for table in tables:
        query = f"SELECT to_jsonb(t) - 'looked_at' - 'look_due_at' AS row FROM billing.{table} t ORDER BY t::text"
        found[table] = [row["row"] for row in await stage.rows(query)]
    return json.dumps(found)


async def test_a_payment_whose_webhooks_were_dropped_is_credited_and_a_second_run_changes_nothing(
    stage: BillingStage, sync: Operate
) -> None:
    bought = await _dropped_purchase(stage, "dropped")
    assert (await stage.row(bought["order_id"]))["state"] == "open"
    verdict = (await sync("orders", order=bought["order_id"])).out.splitlines()[0]
    assert verdict == "paid at Stripe, webhook not received: run make billing-sync"
    first = await sync("billing-sync")
    assert first.code == 0, first
    assert _done(first)["events_missed"] > 0
    kinds = {row["type"] for row in await stage.rows("SELECT DISTINCT type FROM billing.webhook_events")}
    assert "checkout.session.completed" in kinds
    await stage.has_in_books("dropped", granted=500_000)
    before = await _rows(stage)
    second = await sync("billing-sync")
    assert second.code == 0
    assert (_done(second)["events_missed"], _done(second)["changed"]) == (0, 0)
    assert await _rows(stage) == before


async def test_refunds_and_disputes_that_nobody_told_are_followed(stage: BillingStage, sync: Operate) -> None:
    refunded, disputed = await _dropped_purchase(stage, "refunded"), await _dropped_purchase(stage, "disputed")
    await stage.stripe.deliveries("drop")
    await stage.stripe.client.v1.refunds.create_async({"payment_intent": refunded["payment_intent"], "amount": 3_745})
    await stage.stripe.dispute(disputed["payment_intent"])
    await stage.stripe.deliveries("normal")
    assert (await sync("billing-sync")).code == 0
    await stage.has_in_books("refunded", granted=500_000, revoked=250_000)
    await stage.has_in_books("disputed", granted=500_000, revoked=500_000)


async def test_a_warning_of_fraud_that_no_event_tells_of_any_more_is_followed(
    stage: BillingStage, sync: Operate
) -> None:
    """Stripe keeps an event for 30 days, and the warning itself for good."""
    warned = await _dropped_purchase(stage, "warned")
    assert (await sync("billing-sync")).code == 0
    await stage.stripe.deliveries("drop")
    await stage.stripe.warn_of_fraud(warned["payment_intent"])
    await stage.stripe.deliveries("normal")
    await stage.stripe.advance(31 * 86_400)
    ran = await sync("billing-sync")
    assert (ran.code, _done(ran)["warnings"]) == (0, 1)
    await stage.has_in_books("warned", granted=500_000, revoked=500_000)
    assert _done(await sync("billing-sync"))["changed"] == 0


@pytest.mark.parametrize("renewed", [False, True], ids=["at-first", "renewed"])
async def test_a_period_that_was_paid_and_ended_unseen_is_told_until_its_money_is_given_back(
    stage: BillingStage, sync: Operate, renewed: bool
) -> None:
    account = f"unseen-{renewed}"
    begun = await subscribe(stage, account)
    if not renewed:
        await stage.stripe.deliveries("drop")
    paid = await stage.stripe.pay(begun["checkout_url"])
    if renewed:
        await says(stage, account, ["started basic"])
        await stage.all_handled()
        assert (await sync("billing-sync")).code == 0
        await stage.stripe.deliveries("drop")
        await stage.stripe.advance(MONTH + 2 * HOUR)
    await stage.stripe.client.v1.subscriptions.cancel_async(paid["subscription"])
    await stage.stripe.deliveries("normal")
    ran = await sync("billing-sync")
    (told,) = ran.lines[:-1]
    assert (ran.code, told["difference"], told["order_id"]) == (1, "paid_in_vain", begun["order_id"])
    invoice = await stage.stripe.client.v1.invoices.retrieve_async(told["stripe_id"], {"expand": ["payments"]})
    assert invoice.payments is not None
    payment = str(invoice.payments.data[0].payment.payment_intent)
    await stage.stripe.client.v1.refunds.create_async({"payment_intent": payment})
    assert (await sync("billing-sync")).code == 0


async def test_a_sync_without_a_running_service_credits(stage: BillingStage, sync: Operate) -> None:
    """The events are not even left to be handled: the verb does it."""
    bought = await _dropped_purchase(stage, "alone")
    ran = await sync("billing-sync", from_=datetime.now(UTC).date() - timedelta(days=1))
    assert (ran.code, _done(ran)["events_waiting"]) == (0, 0)
    assert (await stage.row(bought["order_id"]))["state"] == "paid"


async def test_two_syncs_at_once_credit_once(stage: BillingStage, sync: Operate) -> None:
    await _dropped_purchase(stage, "both")
    ran = await asyncio.gather(sync("billing-sync"), sync("billing-sync"))
    assert {each.code for each in ran} == {0}
    books = await stage.has_in_books("both", granted=500_000)
    assert books.purchases == 1


async def test_what_others_sell_through_the_same_account_is_no_difference(stage: BillingStage, sync: Operate) -> None:
    before = _done(await sync("billing-sync"))["foreign"]
    await _session(stage, {"metadata": {"shop": "another"}})
    await _session(stage, {"metadata": {"order_id": "1001"}, "client_reference_id": "cart 7"})
    ran = await sync("billing-sync")
    assert (ran.code, _done(ran)["foreign"]) == (0, before + 2)


async def test_a_paid_checkout_of_an_order_that_nobody_knows_is_told_with_exit_1(
    stage: BillingStage, sync: Operate
) -> None:
    lost = "ord_" + "0" * 32  # of a database that was restored to before it
    session_id = await _session(stage, {"metadata": {"order_id": lost}})
    ran = await sync("billing-sync")
    assert ran.code == 1
    (difference,) = [line for line in ran.lines if line.get("stripe_id") == session_id]
    assert (difference["difference"], difference["order_id"]) == ("paid_unknown_order", lost)
    assert "990 brl" in difference["explanation"]
    session = await stage.stripe.client.v1.checkout.sessions.retrieve_async(session_id)
    await stage.stripe.client.v1.refunds.create_async({"payment_intent": str(session.payment_intent)})
    ran = await sync("billing-sync")
    assert not [line for line in ran.lines if line.get("stripe_id") == session_id]


async def test_another_amount_than_ordered_is_told_until_it_is_refunded(stage: BillingStage, sync: Operate) -> None:
    await stage.stripe.deliveries("drop")
    bought = await stage.buy("cheated")
    await stage.rows("UPDATE billing.orders SET amount_minor = 9999 WHERE id = $1", bought["order_id"])
    await stage.stripe.pay(bought["checkout_url"])
    await stage.stripe.deliveries("normal")
    ran = await sync("billing-sync")
    assert ran.code == 1
    (difference,) = [line for line in ran.lines if line.get("order_id") == bought["order_id"]]
    assert difference["difference"] == "quarantined"
    assert (await stage.books("cheated")).purchases == 0
    refunded = await sync("refund", order=bought["order_id"], reason="not as ordered")
    assert (refunded.code, refunded.json["refund_minor"], refunded.json["state"]) == (0, 7_490, "quarantined")
    ran = await sync("billing-sync")
    assert not [line for line in ran.lines if line.get("order_id") == bought["order_id"]]


async def test_a_subscription_that_nobody_told_is_given_and_its_refund_ends_it(
    stage: BillingStage, sync: Operate
) -> None:
    await stage.stripe.deliveries("drop")
    begun = await subscribe(stage, "plan")
    await stage.stripe.pay(begun["checkout_url"])
    await stage.stripe.deliveries("normal")
    ran = await sync("billing-sync")
    assert _done(ran)["subscriptions"] >= 1
    await says(stage, "plan", ["started basic"])
    life = await sync("orders", order=begun["order_id"])
    assert "its plan told to the ledger at" in life.out.splitlines()[0]
    refunded = await sync("refund", order=begun["order_id"], reason="the wrong plan")
    assert (refunded.code, refunded.json["status"]) == (0, "succeeded")
    await says(stage, "plan", ["started basic", "ended taken_back"])
    (await sync("refund", order=begun["order_id"], reason="once more")).assert_refused(2)
    ran = await sync("billing-sync")
    assert not [line for line in ran.lines if line.get("order_id") == begun["order_id"]]
    (record,) = (await sync("orders", account="plan", from_=datetime.now(UTC).date() - timedelta(days=1))).lines
    assert [(each["plan"], each["status"]) for each in record["invoices"]] == [("basic", "paid")]
    table = (await sync("orders", account="plan", format="csv")).out
    assert [row.split(",")[0] for row in table.splitlines()] == ["record", "order", "refund", "invoice"]


async def test_what_is_given_back_of_a_later_payment_of_a_subscription_is_its_invoices_and_nobody_elses(
    stage: BillingStage, sync: Operate
) -> None:
    """Given back in the Dashboard, which names no order, and as what was superfluous, which names the first one."""
    subscription = await subscribed(stage, "renewed")
    await change_plan(stage, subscription, "premium", proration_behavior="always_invoice")
    await says(stage, "renewed", ["started basic", "upgraded premium"])
    of_subscription = "FROM billing.subscription_invoices WHERE subscription_id = $1 ORDER BY paid_minor"
    first, later = await stage.rows(f"SELECT id, payment_intent_id {of_subscription}", subscription)
    (order,) = await stage.rows("SELECT id FROM billing.orders WHERE account_id = 'renewed'")
    before = _done(await sync("billing-sync"))["foreign"]
    await stage.stripe.deliveries("drop")
    for more in ({}, {"metadata": {"order_id": order["id"]}}):
        wanted: Any = {"payment_intent": later["payment_intent_id"], "amount": 100, **more}  # of two shapes
        await stage.stripe.client.v1.refunds.create_async(wanted)
    await stage.stripe.dispute(later["payment_intent_id"], amount=300)
    own = await stage.stripe.client.v1.refunds.create_async({"payment_intent": first["payment_intent_id"], "amount": 5})
    await stage.stripe.deliveries("normal")
    synced = await sync("billing-sync")
    assert (synced.code, _done(synced)["foreign"]) == (0, before)
    found = await stage.rows(f"SELECT id, refunded_minor, disputed {of_subscription}", subscription)
    assert [tuple(row.values()) for row in found] == [(first["id"], 5, False), (later["id"], 200, True)]
    stored = (
        "SELECT id FROM billing.refunds WHERE order_id = $1 UNION SELECT id FROM billing.disputes WHERE order_id = $1"
    )
    assert await stage.rows(stored, order["id"]) == [{"id": own.id}]
    assert _done(await sync("billing-sync"))["changed"] == 0


async def test_a_subscription_of_others_is_no_difference(stage: BillingStage, sync: Operate) -> None:
    before = _done(await sync("billing-sync"))["foreign"]
    gym = {"currency": "brl", "unit_amount": 990, "product_data": {"name": "A gym"}, "recurring": {"interval": "month"}}
    await _session(stage, {"mode": "subscription", "line_items": [{"quantity": 1, "price_data": gym}]})
    ran = await sync("billing-sync")
    assert not [line for line in ran.lines if line.get("difference") == "subscription"]
    assert _done(ran)["foreign"] > before


async def test_stripe_that_is_away_is_told_in_one_line(stage: BillingStage, sync: Operate) -> None:
    await stage.stripe.faults("down", times=1_000)
    try:
        ran = await sync("billing-sync")
    finally:
        await stage.stripe.faults("none")
    ran.assert_refused(1)
    assert "Stripe does not answer" in ran.err


async def test_without_a_key_nothing_is_compared(stage: BillingStage) -> None:
    run = operate_on(stage.settings.database_url, "billing")
    for verb in ("billing-sync", "stripe-setup", "stripe-check"):
        (await run(verb)).assert_refused(1)


async def test_what_is_set_up_at_stripe_is_checked_and_a_second_run_does_nothing(
    stage: BillingStage, sync: Operate
) -> None:
    checked = await sync("stripe-check")
    assert (checked.code, checked.err) == (1, "")
    wrong = {line["check"] for line in checked.lines if not line["ok"]}
    assert wrong == {"prices", "portal"}
    shown = await sync("stripe-setup", show=1)
    assert shown.code == 0
    assert (await sync("stripe-setup", show=1)).out == shown.out
    assert {line["step"] for line in shown.lines} == {"price", "portal"}
    done = await sync("stripe-setup")
    assert (done.code, done.err) == (0, "")
    assert all(line["id"] for line in done.lines[len(shown.lines) :])
    assert (await sync("stripe-setup")).out == ""
    again = await sync("stripe-check")
    assert (again.code, again.err) == (0, "")
    assert {"key", "mode", "endpoint", "prices", "portal", "pix", "boleto"} <= {line["check"] for line in again.lines}


async def test_a_key_that_stripe_refuses_is_one_line_of_the_check(stage: BillingStage) -> None:
    run = operate_on(stage.settings.database_url, "billing")
    environment = environment_of(stage.settings) | {"SOLARIS_STRIPE_API_KEY": "sk_test_guessed"}
    ran = await run("stripe-check", environment)
    assert ran.code == 1
    assert [(line["check"], line["ok"]) for line in ran.lines] == [("key", False)]


def test_every_verb_is_there() -> None:
    VERBS.commands([])


async def _session(stage: BillingStage, more: dict[str, Any]) -> str:
    """A Checkout that is paid, though billing has no part in it."""
    mug = {"currency": "brl", "unit_amount": 990, "product_data": {"name": "A mug"}}
    params: Any = {  # Stripe's own type would have to name what `more` holds
        "mode": "payment",
        "success_url": "http://127.0.0.1:1/",
        "line_items": [{"quantity": 1, "price_data": mug}],
        **more,
    }
    session = await stage.stripe.client.v1.checkout.sessions.create_async(params)
    await stage.stripe.pay(str(session.url))
    return session.id


async def test_an_order_that_cannot_be_looked_at_is_told_and_those_behind_it_are_compared(
    stage: BillingStage, sync: Operate
) -> None:
    """It names the Checkout of another one, which Postgres refuses."""
    paid, claims = await stage.buy("rightful"), await stage.buy("claims")
    await stage.stripe.pay(paid["checkout_url"])
    await stage.has_in_books("rightful", granted=500_000)
    own = {each["order_id"]: (await stage.row(each["order_id"]))["session_id"] for each in (paid, claims)}
    moved = "UPDATE billing.orders SET session_id = $2 WHERE id = $1 RETURNING id"
    await stage.rows(moved, paid["order_id"], "cs_moved")
    await stage.rows(moved, claims["order_id"], own[paid["order_id"]])
    ran = await sync("billing-sync")
    assert ran.code == 1
    told = {line["order_id"]: line["difference"] for line in ran.lines if "difference" in line}
    assert told[claims["order_id"]] == "not_looked_at"
    assert "looked_at" in ran.lines[-1], "it went on to the end"
    await stage.rows(moved, claims["order_id"], own[claims["order_id"]])
    await stage.rows(moved, paid["order_id"], own[paid["order_id"]])
    assert (await sync("billing-sync")).code == 0
