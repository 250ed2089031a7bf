"""Orders of which nothing is heard are looked at anew by the sweep: alone, and after events were given up."""

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
