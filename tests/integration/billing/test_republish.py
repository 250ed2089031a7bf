"""A stream that was lost is published anew from the outbox, and has each event once."""

from datetime import UTC, datetime

import asyncpg
import nats
from billing.store.outbox import position_before_what_fits
from chassis.jetstream import MESSAGE_OVERHEAD_BYTES
from contracts.subjects import BILLING_STREAM

from tests.support.billing import BillingStage
from tests.support.ledger_operate import operate_on


async def test_a_lost_stream_is_published_anew_from_what_is_stored(
    stage: BillingStage, migrated_url: str, nats_url: str
) -> None:
    bought = await stage.buy("republished")
    paid = await stage.stripe.pay(bought["checkout_url"])
    await stage.has_in_books("republished", granted=500_000)
    await stage.stripe.client.v1.refunds.create_async({"payment_intent": paid["payment_intent"], "amount": 749})
    told = await stage.has_in_books("republished", granted=500_000, revoked=50_000)
    client = await nats.connect(nats_url, inbox_prefix="_INBOX_operator")
    try:
        await client.jetstream(timeout=10).delete_stream(BILLING_STREAM)
    finally:
        await client.close()
    operate = operate_on(migrated_url, "billing")
    done = await operate("billing-republish", environment={"SOLARIS_NATS_URL": nats_url})
    assert done.code == 0, done
    assert (BILLING_STREAM in done.json["created"], done.json["published"]) == (True, 2), done.json
    assert await stage.books("republished") == told
    again = await operate("billing-republish", environment={"SOLARIS_NATS_URL": nats_url})
    assert (again.json["published"], again.json["created"]) == (2, [])
    assert await stage.books("republished") == told


async def test_what_does_not_fit_into_the_stream_any_more_is_left_out_the_oldest_first(
    stage: BillingStage, migrated_url: str
) -> None:
    for number in range(3):
        bought = await stage.buy(f"fits-{number}")
        await stage.stripe.pay(bought["checkout_url"])
        await stage.has_in_books(f"fits-{number}", granted=500_000)
    connection = await asyncpg.connect(migrated_url, timeout=10)
    try:
        query = "SELECT position, length(payload) AS bytes, recorded_at FROM billing.outbox ORDER BY 1 DESC LIMIT 3"
        newest, second, third = await connection.fetch(query)
        two = newest["bytes"] + second["bytes"] + 2 * MESSAGE_OVERHEAD_BYTES
        long_ago = datetime(2000, 1, 1, tzinfo=UTC)
        assert await position_before_what_fits(connection, long_ago, two) == third["position"]
        assert await position_before_what_fits(connection, long_ago, two - 1) == second["position"]
        assert await position_before_what_fits(connection, newest["recorded_at"], two) == second["position"]
        assert await position_before_what_fits(connection, long_ago, 2**62) == 0
    finally:
        await connection.close()
