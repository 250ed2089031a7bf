"""Orders of which nothing is heard are looked at anew by the sweep: alone, and after events were given up."""

import json

from tests.support.billing import empty_stage, running_billing
from tests.support.eventually import eventually


async def test_after_three_days_of_absence_an_event_is_given_up_and_the_sweep_still_credits(
    migrated_url: str, nats_url: str
) -> None:
    async with empty_stage(migrated_url, nats_url, sweep_seconds=1.0) as stage, running_billing(stage.settings):
        bought = await stage.buy("absent")
        await stage.stripe.faults("down", times=1_000, only="GET")
        await stage.stripe.pay(bought["checkout_url"])

        async def given_up() -> bool:
            await stage.rows(
                "UPDATE billing.webhook_events SET due_at = now(), received_at = now() - interval '3 days 1 second'"
                " WHERE status = 'waiting' RETURNING id"
            )
            letters = await stage.rows("SELECT reason FROM billing.dead_letters WHERE consumer = 'billing-webhook'")
            return any(each["reason"].startswith("StripeUnavailableError") for each in letters)

        await eventually(given_up, 60.0)
        await stage.stripe.faults("none")
        await stage.rows("UPDATE billing.orders SET look_due_at = now() WHERE id = $1 RETURNING id", bought["order_id"])
        await stage.has_in_books("absent", granted=500_000)


async def test_a_blocked_webhook_is_credited_by_the_sweep_alone(migrated_url: str, nats_url: str) -> None:
    async with empty_stage(migrated_url, nats_url, sweep_seconds=1.0) as stage, running_billing(stage.settings):
        await stage.stripe.deliveries("drop")
        bought = await stage.buy("swept")
        await stage.stripe.pay(bought["checkout_url"])
        await stage.has_in_books("swept", granted=500_000)
        changes = await stage.rows(
            "SELECT who FROM billing.order_changes WHERE order_id = $1 AND what = 'paid'", bought["order_id"]
        )
        assert changes == [{"who": "sweep"}]
        assert (await stage.row(bought["order_id"]))["look_due_at"] is None, "a paid order is not swept any more"


async def test_orders_that_cannot_be_looked_at_keep_none_behind_them_waiting(migrated_url: str, nats_url: str) -> None:
    """One names another order's Checkout, which Postgres refuses, and the row of one is damaged."""
    async with empty_stage(migrated_url, nats_url) as stage, running_billing(stage.settings):
        paid = await stage.buy("rightful")
        await stage.stripe.pay(paid["checkout_url"])
        await stage.has_in_books("rightful", granted=500_000)
        await stage.stripe.deliveries("drop")
        refused, damaged = [(await stage.buy(name))["order_id"] for name in ("refused", "damaged")]
        session = (await stage.row(paid["order_id"]))["session_id"]
        await stage.rows(
            "UPDATE billing.orders SET session_id = 'cs_moved' WHERE id = $1 RETURNING id", paid["order_id"]
        )
        await stage.rows("UPDATE billing.orders SET session_id = $2 WHERE id = $1 RETURNING id", refused, session)
        await stage.rows("UPDATE billing.orders SET looked_at = NULL WHERE id = $1 RETURNING id", refused)
        page = await stage.http.get(f"{stage.url}/buy/order/{refused}")
        assert page.status_code == 200, "its page shows what stands"
        await stage.rows("UPDATE billing.orders SET tokens = $2 WHERE id = $1 RETURNING id", damaged, 2**60)
        swept = await stage.buy("behind")
        await stage.stripe.pay(swept["checkout_url"])
        due = "UPDATE billing.orders SET look_due_at = now() - $2 * interval '1 minute' WHERE id = $1 RETURNING id"
        for minutes, order_id in enumerate((swept["order_id"], damaged, refused), 1):
            await stage.rows(due, order_id, minutes)
        await stage.has_in_books("behind", granted=500_000)


async def test_what_never_settles_ends_where_an_operator_sees_it_and_is_credited_should_it_come(
    migrated_url: str, nats_url: str
) -> None:
    async with empty_stage(migrated_url, nats_url) as stage, running_billing(stage.settings):
        bought, lost = await stage.buy("never"), await stage.buy("lost")
        paid = await stage.stripe.pay(bought["checkout_url"], "boleto", "later")
        await stage.reaches(bought["order_id"], "pending")
        await stage.rows(
            "UPDATE billing.orders SET session_id = 'cs_of_another' WHERE id = $1 RETURNING id", lost["order_id"]
        )
        await stage.all_handled()
        await stage.rows(
            "UPDATE billing.orders SET created_at = now() - interval '31 days', look_due_at = now()"
            " WHERE state IN ('open', 'pending') RETURNING id"
        )
        ended = await stage.reaches(bought["order_id"], "expired")
        assert ended["look_due_at"] is None, "it is not asked for any more"
        lines = "SELECT what, why, details FROM billing.order_changes WHERE order_id = $1 ORDER BY id DESC LIMIT 1"
        (line,) = await stage.rows(lines, bought["order_id"])
        assert json.loads(line["details"]) == {"from": "pending", "reason": "never_settled"}

        async def left_alone() -> bool:
            (line,) = await stage.rows(lines, lost["order_id"])
            return (line["what"], "StripeMissingError" in (line["why"] or "")) == ("left_alone", True)

        await eventually(left_alone, 20.0)
        assert (await stage.row(lost["order_id"]))["look_due_at"] is None
        await stage.stripe.complete_payment(paid["payment_intent"])
        await stage.has_in_books("never", granted=500_000)
