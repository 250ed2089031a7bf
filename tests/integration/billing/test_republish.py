"""A stream that was lost is published anew from the outbox, and has each event once."""

import nats
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
