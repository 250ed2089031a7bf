"""What is kept of a person's purchases is handed out, and relieved of what is personal; the books stay whole."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.billing import BillingStage, environment_of, staged_billing
from tests.support.ledger_operate import Ran, operate_on


@pytest_asyncio.fixture(scope="module")
async def stage(billing_url: str, nats_url: str) -> AsyncIterator[BillingStage]:
    async with staged_billing(billing_url, nats_url) as stage:
        yield stage


async def _run(stage: BillingStage, verb: str, **options: object) -> Ran:
    return await operate_on(stage.settings.database_url, "billing")(verb, environment_of(stage.settings), **options)


async def test_an_export_has_all_that_is_kept_and_forgetting_leaves_the_books(stage: BillingStage) -> None:
    for account in ("person", "other"):
        bought = await stage.buy(account)
        await stage.stripe.pay(bought["checkout_url"])
        await stage.reaches(bought["order_id"], "paid")
    await stage.all_handled()
    await _run(stage, "refund", order=bought["order_id"], amount=5, reason="of the other")
    exported = await _run(stage, "export", account="person")
    assert (exported.code, exported.err) == (0, "")
    held = exported.json
    assert {"orders", "order_changes", "stripe_customers", "stripe_events", "said"} <= set(held)
    assert {order["account_id"] for order in held["orders"]} == {"person"}
    assert [said["name"] for said in held["said"]] == ["billing.credits_purchased"]
    events = held["stripe_events"]
    assert "checkout.session.completed" in {event["payload"]["type"] for event in events}

    # Events of both that could not be handled, one of which has let go of its own payload since.
    given_up = await stage.rows(
        "INSERT INTO billing.dead_letters (consumer, message_id, subject, payload, reason)"
        " SELECT 'billing-webhook', id, type, payload, 'of the test' FROM billing.webhook_events"
        " WHERE type = 'checkout.session.completed' RETURNING message_id"
    )
    assert len(given_up) == 2
    await stage.rows(
        "UPDATE billing.webhook_events SET payload = NULL, order_id = NULL WHERE type = 'checkout.session.completed'"
        " AND order_id IN (SELECT id FROM billing.orders WHERE account_id = 'person') RETURNING id"
    )

    forgotten = (await _run(stage, "forget", account="person", reason="asked for")).json
    assert (forgotten["orders_kept"], forgotten["events_erased"]) == (1, len(events) - 1)
    (customer,) = forgotten["stripe_customers"]
    letters = await stage.rows("SELECT convert_from(payload, 'UTF8') AS payload FROM billing.dead_letters")
    assert sorted(bool(letter["payload"]) for letter in letters) == [False, True], "the other's is as it was"
    assert not any(customer in letter["payload"] for letter in letters)
    rows = await stage.rows(
        "SELECT convert_from(payload, 'UTF8') AS payload FROM billing.webhook_events WHERE payload IS NOT NULL"
    )
    assert rows
    assert not any(customer in row["payload"] for row in rows)
    (record,) = (await _run(stage, "orders", account="person")).lines
    assert (record["state"], record["paid_minor"], record["tokens"]) == ("paid", 7_490, 500_000)
    again = (await _run(stage, "forget", account="person")).json
    assert again["events_erased"] == 0


async def test_nothing_that_stripe_sends_keeps_a_person_from_what_is_kept_of_them(stage: BillingStage) -> None:
    bought = await stage.buy("odd")
    payloads = [
        b'{"note": "a zero \\u0000",\n "n": 1}',
        b'{"note": "half a pair \\ud800", "n": 2}',
        b'{"note": 1e999999, "n": 3}',
        b"no json \xff",
    ]
    for number, payload in enumerate(payloads):
        await stage.rows(
            "INSERT INTO billing.webhook_events (id, type, livemode, happened_at, payload, status, order_id)"
            " VALUES ($1, 'charge.updated', false, now(), $2, 'handled', $3) RETURNING id",
            *(f"evt_odd_{number}", payload, bought["order_id"]),
        )
    exported = await _run(stage, "export", account="odd")
    assert (exported.code, exported.err) == (0, "")
    told = {event["id"]: event["payload"] for event in exported.json["stripe_events"]}
    assert told["evt_odd_0"] == {"note": "a zero \0", "n": 1}
    assert all("n" in told[f"evt_odd_{number}"] for number in range(4))


async def test_what_a_guest_paid_is_erased_with_the_account_and_what_another_paid_for_it_is_not(
    stage: BillingStage,
) -> None:
    by_guest = await stage.buy_by_link("gifted")
    by_company = await stage.buy("gifted", "medium", payer_id="firm")
    for bought in (by_guest, by_company):
        await stage.stripe.pay(bought["checkout_url"])
        await stage.reaches(bought["order_id"], "paid")
    await stage.all_handled()
    guest, company = [(await stage.row(each["order_id"]))["customer_id"] for each in (by_guest, by_company)]
    forgotten = (await _run(stage, "forget", account="gifted", reason="asked for")).json
    assert forgotten["stripe_customers"] == [guest]
    assert company != guest
    assert forgotten["orders_kept"] == 2


async def test_a_top_up_that_was_begun_is_finished_though_its_person_is_forgotten(stage: BillingStage) -> None:
    await stage.rows(
        "INSERT INTO billing.top_ups VALUES"
        " ('gone', 1, true, NULL, 'small', 'brl', 1, 99999, NULL, 'test', now(), now(), NULL) RETURNING 1"
    )
    await stage.rows(
        "INSERT INTO billing.orders (id, version, kind, state, account_id, package_id, tokens, amount_minor, currency,"
        " livemode, created_at, changed_at)"
        " VALUES ('ord_gone', 1, 'top_up', 'created', 'gone', 'small', 1, 1, 'brl', false, now(), now()) RETURNING 1"
    )
    assert (await _run(stage, "forget", account="gone")).json["top_ups_stopped"] == 1
    await stage.reaches("ord_gone", "failed")


async def test_what_operators_typed_about_a_person_goes_and_the_figures_of_it_stay(stage: BillingStage) -> None:
    for account in ("typed", "untyped"):
        entered = await _run(
            stage, "order", account=account, tokens=100, paid_by="bank_transfer", reference="E 1", reason="Maria asked"
        )
        await _run(stage, "refund", order=entered.json["order_id"], reason="Maria changed her mind")
    forgotten = (await _run(stage, "forget", account="typed")).json
    assert forgotten["reasons_erased"] >= 3
    assert "Maria" not in (await _run(stage, "export", account="typed")).out
    assert "Maria" in (await _run(stage, "export", account="untyped")).out
    (record,) = (await _run(stage, "orders", account="typed")).lines
    assert (record["tokens"], record["reference"]) == (100, "E 1")
    assert (await _run(stage, "forget", account="typed")).json["reasons_erased"] == 0


async def test_letters_of_stripes_events_are_nobodys_whose_account_has_the_name_of_one(stage: BillingStage) -> None:
    await stage.rows(
        "INSERT INTO billing.dead_letters (consumer, message_id, subject, payload, reason)"
        " VALUES ('billing-webhook', 'evt_x', 'charge.updated', 'of another', 'odd'),"
        " ('billing-ledger', 'x', 'solaris.ledger.usage_settled.updated', 'theirs', 'odd') RETURNING id"
    )
    assert (await _run(stage, "forget", account="updated")).json["letters_erased"] == 1
    kept = await stage.rows("SELECT payload FROM billing.dead_letters WHERE message_id IN ('evt_x', 'x') ORDER BY id")
    assert [row["payload"] for row in kept] == [b"of another", b""]


async def test_a_person_of_whom_nothing_is_kept(stage: BillingStage) -> None:
    assert (await _run(stage, "export", account="nobody")).json == {}
    assert (await _run(stage, "forget", account="nobody")).json["orders_kept"] == 0
