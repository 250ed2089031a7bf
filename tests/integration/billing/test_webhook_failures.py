"""What can't be handled now is tried again, and given up in the end for a person to look at; nothing is lost."""

import asyncio
from datetime import timedelta
from typing import Any

from billing.application.housekeeping import keep_measuring
from billing.store import outbox
from billing.store.webhook_events import delete_old, forget_payloads
from chassis.postgres import create_engine, disposed
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.support.billing import BillingStage
from tests.support.eventually import eventually
from tests.support.ledger_operate import operate_on


async def _event_row(stage: BillingStage, order_id: str) -> dict[str, Any]:
    rows = await stage.rows(
        "SELECT * FROM billing.webhook_events WHERE type = 'checkout.session.completed'"
        " AND position(convert_to($1, 'utf8') in payload) > 0",
        order_id,
    )
    assert len(rows) == 1
    return rows[0]


async def _is_due(stage: BillingStage, **values: object) -> None:
    """Time passes; and with it whatever else is told."""
    for name, value in values.items():
        await stage.rows(f"UPDATE billing.webhook_events SET {name} = $1 WHERE status = 'waiting' RETURNING id", value)
    await stage.rows("UPDATE billing.webhook_events SET due_at = now() WHERE status = 'waiting' RETURNING id")


async def test_while_stripe_is_away_an_event_waits_and_counts_no_failure(stage: BillingStage) -> None:
    bought = await stage.buy("outage")
    await stage.stripe.faults("down", times=1_000, only="GET")
    await stage.stripe.pay(bought["checkout_url"])

    async def tried() -> dict[str, Any] | None:
        row = await _event_row(stage, bought["order_id"])
        return row if row["last_error"] else None

    row = await eventually(tried, 60.0)
    assert (row["status"], row["attempts"]) == ("waiting", 0)
    assert row["last_error"].startswith("StripeUnavailableError")
    await stage.stripe.faults("none")

    async def handled() -> bool:
        await _is_due(stage)
        return bool((await _event_row(stage, bought["order_id"]))["status"] == "handled")

    await eventually(handled, 60.0)
    await stage.has_in_books("outage", granted=500_000)


async def test_an_event_that_fails_by_itself_is_given_up_and_can_be_retried(
    stage: BillingStage, migrated_url: str
) -> None:
    """Its order names a Checkout that Stripe does not know, until somebody puts that right."""
    await stage.stripe.deliveries("delay", seconds=1)
    bought = await stage.buy("broken")
    own = (await stage.row(bought["order_id"]))["session_id"]
    await stage.rows(
        "UPDATE billing.orders SET session_id = 'cs_nowhere' WHERE id = $1 RETURNING id", bought["order_id"]
    )
    await stage.stripe.pay(bought["checkout_url"])

    async def failed() -> bool:
        row = await _event_row(stage, bought["order_id"])
        return bool(row["attempts"] == 1)

    await eventually(failed, 30.0)
    await _is_due(stage, attempts=11)

    async def given_up() -> bool:
        return bool((await _event_row(stage, bought["order_id"]))["status"] == "given_up")

    await eventually(given_up, 30.0)
    row = await _event_row(stage, bought["order_id"])
    letters = await stage.rows("SELECT * FROM billing.dead_letters WHERE message_id = $1", row["id"])
    assert [(each["consumer"], each["subject"]) for each in letters] == [
        ("billing-webhook", "checkout.session.completed")
    ]
    assert letters[0]["reason"].startswith("StripeMissingError")
    await stage.rows("UPDATE billing.orders SET session_id = $2 WHERE id = $1 RETURNING id", bought["order_id"], own)
    # Meanwhile its time was over: the letter outlives it.
    await stage.rows("UPDATE billing.webhook_events SET payload = NULL WHERE id = $1 RETURNING id", row["id"])
    retried = await operate_on(migrated_url, "billing")("dead-letters-retry", id=f"billing:{letters[0]['id']}")
    assert retried.code == 0, retried
    await stage.has_in_books("broken", granted=500_000)
    assert (await _event_row(stage, bought["order_id"]))["status"] == "handled"


async def test_an_event_whose_outcome_postgres_refuses_is_given_up_too(stage: BillingStage) -> None:
    """Its order names the Checkout of another one: no repetition makes that two payments."""
    paid = await stage.buy("rightful")
    await stage.stripe.pay(paid["checkout_url"])
    await stage.has_in_books("rightful", granted=500_000)
    claims = await stage.buy("claims")
    session = (await stage.row(paid["order_id"]))["session_id"]
    await stage.rows("UPDATE billing.orders SET session_id = 'cs_moved' WHERE id = $1 RETURNING id", paid["order_id"])
    await stage.rows(
        "UPDATE billing.orders SET session_id = $2 WHERE id = $1 RETURNING id", claims["order_id"], session
    )
    await stage.stripe.pay(claims["checkout_url"])

    async def failed() -> dict[str, Any] | None:
        row = await _event_row(stage, claims["order_id"])
        return row if row["attempts"] else None

    row = await eventually(failed, 30.0)
    assert row["last_error"].startswith("IntegrityError")
    await _is_due(stage, attempts=11)

    async def given_up() -> bool:
        return bool((await _event_row(stage, claims["order_id"]))["status"] == "given_up")

    await eventually(given_up, 30.0)


async def test_another_amount_than_was_ordered_is_quarantined(stage: BillingStage) -> None:
    bought = await stage.buy("cheap")
    await stage.rows("UPDATE billing.orders SET amount_minor = 74_900 WHERE id = $1 RETURNING id", bought["order_id"])
    await stage.stripe.pay(bought["checkout_url"])
    row = await stage.reaches(bought["order_id"], "quarantined")
    await stage.all_handled(bought["order_id"])
    assert row["quarantine_reason"] == "amount"
    assert (await stage.books("cheap")).kinds == ()


async def test_what_stripe_said_is_let_go_of_in_time(stage: BillingStage, migrated_url: str) -> None:
    bought = await stage.buy("old")
    await stage.stripe.pay(bought["checkout_url"])
    await stage.has_in_books("old", granted=500_000)
    await stage.all_handled(bought["order_id"])
    event = await _event_row(stage, bought["order_id"])
    await stage.rows(
        "UPDATE billing.webhook_events SET received_at = now() - interval '91 days' WHERE id = $1 RETURNING id",
        event["id"],
    )
    engine = create_engine(migrated_url, service="billing")
    async with disposed(engine):
        assert await forget_payloads(engine, keep=timedelta(days=90)) == 1
        assert await delete_old(engine, keep=timedelta(days=400)) == 0
        (kept,) = await stage.rows("SELECT payload, status FROM billing.webhook_events WHERE id = $1", event["id"])
        assert kept == {"payload": None, "status": "handled"}
        assert await delete_old(engine, keep=timedelta(days=90)) == 1


async def test_what_was_said_long_ago_is_let_go_of_and_never_what_is_not_published(
    stage: BillingStage, migrated_url: str
) -> None:
    for account in ("said", "said-last"):
        bought = await stage.buy(account)
        await stage.stripe.pay(bought["checkout_url"])
        await stage.has_in_books(account, granted=500_000)
    count = "SELECT count(*) AS n, max(position) AS newest FROM billing.outbox"
    before = (await stage.rows(count))[0]
    await stage.rows("UPDATE billing.outbox SET recorded_at = now() - interval '401 days' RETURNING position")
    (relay,) = await stage.rows("SELECT position FROM billing.relay")
    hide = "UPDATE billing.relay SET position = $1 RETURNING position"
    engine = create_engine(migrated_url, service="billing")
    async with disposed(engine):
        await stage.rows(hide, 0)
        assert await outbox.delete_old(engine) == 0
        await stage.rows(hide, relay["position"])
        assert await outbox.delete_old(engine) == before["n"] - 1
        assert await outbox.delete_old(engine) == 0
    assert (await stage.rows(count))[0] == {"n": 1, "newest": before["newest"]}


async def test_a_list_that_lacks_a_known_refund_gives_nothing_back(stage: BillingStage) -> None:
    """Stripe's lists may be older than what was seen before; a refund is never deleted there."""
    bought = await stage.buy("lagging")
    paid = await stage.stripe.pay(bought["checkout_url"])
    await stage.has_in_books("lagging", granted=500_000)
    await stage.stripe.client.v1.refunds.create_async({"payment_intent": paid["payment_intent"], "amount": 749})
    await stage.has_in_books("lagging", granted=500_000, revoked=50_000)
    await stage.all_handled(bought["order_id"])
    await stage.rows(
        "INSERT INTO billing.refunds (id, order_id, amount_minor, currency, status, created_at)"
        " VALUES ('re_not_listed_yet', $1, 749, 'brl', 'succeeded', now()) RETURNING id",
        bought["order_id"],
    )
    before = await stage.row(bought["order_id"])
    await stage.stripe.client.v1.refunds.create_async({"payment_intent": paid["payment_intent"], "amount": 749})

    async def waits() -> bool:
        rows = await stage.rows("SELECT last_error FROM billing.webhook_events WHERE status = 'waiting'")
        return any("lacks" in (each["last_error"] or "") for each in rows)

    await eventually(waits, 30.0)
    assert (await stage.row(bought["order_id"]))["revoked_tokens"] == before["revoked_tokens"]
    await stage.rows("DELETE FROM billing.refunds WHERE id = 're_not_listed_yet' RETURNING id")
    await _is_due(stage)
    await stage.has_in_books("lagging", granted=500_000, revoked=100_000)


async def test_what_waits_too_long_is_an_error_in_the_log_and_a_gauge(stage: BillingStage, migrated_url: str) -> None:
    await stage.rows(
        "INSERT INTO billing.webhook_events (id, type, livemode, happened_at, received_at, payload, due_at)"
        " VALUES ('evt_stuck', 'charge.refunded', false, now(), now() - interval '16 minutes', '{}',"
        " now() + interval '1 hour') RETURNING id"
    )
    engine = create_engine(migrated_url, service="billing")
    async with disposed(engine):
        with capture_logs() as logs:
            measuring = asyncio.create_task(keep_measuring(engine))
            await eventually(lambda: [line for line in logs if line["event"] == "webhooks_wait_too_long"], 10.0)
            measuring.cancel()
    assert (REGISTRY.get_sample_value("solaris_billing_oldest_webhook_seconds") or 0) >= 16 * 60
    assert {line["log_level"] for line in logs if line["event"] == "webhooks_wait_too_long"} == {"error"}
    await stage.rows("DELETE FROM billing.webhook_events WHERE id = 'evt_stuck' RETURNING id")
