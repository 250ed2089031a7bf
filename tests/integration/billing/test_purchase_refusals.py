"""Who may begin a purchase, of what, and how often; what is refused leaves nothing behind that could be paid."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from billing.store.paces import Pace, key_of, take_all
from chassis.postgres import create_engine, disposed

from tests.support.billing import (
    SERVICE_KEY,
    BillingStage,
    link_token,
    running_billing,
    settings_for,
)

BEARER = f"Bearer {SERVICE_KEY}"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ({"package_id": "small"}, {}, 401, "missing_credentials"),
        ({"package_id": "small", "account_id": "ana"}, {}, 401, "missing_credentials"),
        ({"package_id": "small", "account_id": "ana"}, {"authorization": "Bearer sk-guess"}, 401, "invalid_key"),
        ({"package_id": "small", "account_id": "ana"}, {"authorization": f"Basic {SERVICE_KEY}"}, 401, "invalid_key"),
        ({"package_id": "small", "t": "nonsense"}, {}, 401, "invalid_link"),
        ({"package_id": "small", "t": link_token("ana", key="another-key-0123456789")}, {}, 401, "invalid_link"),
        ({"package_id": "small", "t": link_token("ana", lasts=timedelta(seconds=-1))}, {}, 401, "expired_link"),
        ({"package_id": "small", "t": link_token("ana"), "account_id": "bia"}, {}, 403, "foreign_account"),
        ({"package_id": "small", "t": link_token("ana"), "payer_id": "bia"}, {}, 403, "foreign_account"),
        ({"package_id": "small"}, {"authorization": BEARER}, 422, "invalid_request"),
        ({"package_id": "small", "account_id": "a b"}, {"authorization": BEARER}, 422, "invalid_request"),
        ({"package_id": "huge", "account_id": "ana"}, {"authorization": BEARER}, 404, "unknown_package"),
        (
            {"package_id": "small", "account_id": "ana", "currency": "jpy"},
            {"authorization": BEARER},
            422,
            "currency_not_offered",
        ),
        (
            {"package_id": "small", "account_id": "ana", "currency": "R$"},
            {"authorization": BEARER},
            422,
            "invalid_request",
        ),
        (
            {"package_id": "small", "account_id": "ana", "amount_minor": 1},
            {"authorization": BEARER},
            422,
            "invalid_request",
        ),
        ({"package_id": 7, "account_id": "ana"}, {"authorization": BEARER}, 422, "invalid_request"),
        ({"account_id": "ana"}, {"authorization": BEARER}, 422, "invalid_request"),
    ],
)
async def test_what_may_not_be_bought_is_refused_with_a_problem_and_writes_no_order(
    stage: BillingStage, body: dict[str, Any], headers: dict[str, str], status: int, code: str
) -> None:
    answer = await stage.ask(body, **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert await stage.rows("SELECT id FROM billing.orders WHERE account_id IN ('ana', 'bia')") == []


async def test_a_link_buys_for_its_account_alone(stage: BillingStage) -> None:
    answer = await stage.ask({"package_id": "small", "t": link_token("linked")})
    assert answer.status_code == 200
    assert (await stage.row(answer.json()["order_id"]))["account_id"] == "linked"


async def test_the_same_key_is_the_same_order_and_never_another_one(stage: BillingStage) -> None:
    body = {"package_id": "small", "account_id": "keyed"}
    first = await stage.ask(body, authorization=BEARER, **{"idempotency-key": "k1"})
    again = await asyncio.gather(
        *(stage.ask(body, authorization=BEARER, **{"idempotency-key": "k1"}) for _ in range(4))
    )
    assert {answer.json()["order_id"] for answer in again} == {first.json()["order_id"]}
    other = await stage.ask(body | {"package_id": "medium"}, authorization=BEARER, **{"idempotency-key": "k1"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    await stage.stripe.pay(first.json()["checkout_url"])
    await stage.reaches(first.json()["order_id"], "paid")
    paid = await stage.ask(body, authorization=BEARER, **{"idempotency-key": "k1"})
    assert paid.json()["order_id"] == first.json()["order_id"]
    assert paid.json()["checkout_url"].endswith(f"/buy/order/{first.json()['order_id']}")
    assert len(await stage.rows("SELECT id FROM billing.orders WHERE account_id = 'keyed'")) == 1


async def test_a_key_whose_request_found_an_open_order_is_that_orders_for_good(stage: BillingStage) -> None:
    body = {"package_id": "small", "account_id": "found"}
    first = (await stage.ask(body, authorization=BEARER)).json()
    found = await asyncio.gather(
        *(stage.ask(body, authorization=BEARER, **{"idempotency-key": "f1"}) for _ in range(4))
    )
    assert {(answer.status_code, answer.json()["order_id"]) for answer in found} == {(200, first["order_id"])}
    other = await stage.ask(body | {"package_id": "medium"}, authorization=BEARER, **{"idempotency-key": "f1"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    await stage.stripe.pay(first["checkout_url"])
    await stage.reaches(first["order_id"], "paid")
    late = (await stage.ask(body, authorization=BEARER, **{"idempotency-key": "f1"})).json()
    assert late["order_id"] == first["order_id"]
    assert len(await stage.rows("SELECT id FROM billing.orders WHERE account_id = 'found'")) == 1


async def test_a_key_of_an_expired_order_leads_to_its_page_and_not_round_in_circles(stage: BillingStage) -> None:
    body = {"package_id": "small", "account_id": "spent"}
    first = (await stage.ask(body, authorization=BEARER, **{"idempotency-key": "k2"})).json()
    await stage.stripe.pay(first["checkout_url"], "card", "expired")
    await stage.reaches(first["order_id"], "expired")
    again = (await stage.ask(body, authorization=BEARER, **{"idempotency-key": "k2"})).json()
    assert again["order_id"] == first["order_id"]
    assert again["checkout_url"].endswith(f"/buy/order/{first['order_id']}")


async def test_whoever_begins_too_many_purchases_is_slowed_down(stage: BillingStage) -> None:
    body = {"package_id": "small", "t": link_token("tester")}
    answers = [await stage.ask(body) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[-1].json()["code"] == "rate_limited"
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_where_from_is_believed_of_proxies_that_are_trusted_alone(
    stage: BillingStage, migrated_url: str, nats_url: str
) -> None:
    body = {"package_id": "small", "t": link_token("far")}

    async def begin(url: str, address: str) -> bool:
        """Whether the purchase counts for the address that a proxy on this machine names."""
        answer = await stage.http.post(
            f"{url}/billing/purchase-credits", json=body, headers={"x-forwarded-for": address}
        )
        assert answer.status_code == 200
        key = key_of("purchase", "address", address)
        return bool(await stage.rows("SELECT 1 FROM billing.paces WHERE key = $1", key))

    elsewhere = settings_for(migrated_url, nats_url, stage.stripe.url, trusted_proxies="192.0.2.0/24")
    async with running_billing(elsewhere):
        assert not await begin(f"http://127.0.0.1:{elsewhere.billing_port}", "198.51.100.7")
    assert await begin(stage.url, "198.51.100.8")


async def test_limits_hold_across_processes(stage: BillingStage, migrated_url: str, nats_url: str) -> None:
    other = settings_for(migrated_url, nats_url, stage.stripe.url)
    body = {"package_id": "small", "t": link_token("both")}
    async with running_billing(other):
        url = f"http://127.0.0.1:{other.billing_port}/billing/purchase-credits"
        statuses = []
        for _ in range(6):
            statuses += [(await stage.ask(body)).status_code, (await stage.http.post(url, json=body)).status_code]
    assert statuses.count(200) == 10


async def test_who_is_refused_for_one_thing_uses_up_nothing_of_the_others(stage: BillingStage) -> None:
    pace, roomy = Pace(times=1, window=timedelta(hours=1)), Pace(times=3, window=timedelta(hours=1))
    engine = create_engine(stage.settings.database_url, service="billing")
    async with disposed(engine):
        assert await take_all(engine, [("own", roomy), ("shared", pace)]) is None
        for _ in range(5):
            assert await take_all(engine, [("own", roomy), ("shared", pace)]) == "shared"
        assert [await take_all(engine, [("own", roomy)]) for _ in range(3)] == [None, None, "own"]


async def test_with_stripe_away_nothing_is_lost_and_the_same_wish_finds_its_order(stage: BillingStage) -> None:
    body = {"package_id": "small", "account_id": "outage"}
    await stage.stripe.faults("down", times=20, only="POST")
    answer = await stage.ask(body, authorization=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (503, "payment_service_unavailable")
    (row,) = await stage.rows("SELECT id, state FROM billing.orders WHERE account_id = 'outage'")
    assert row["state"] == "created"
    counted = await stage.rows(
        "SELECT 1 FROM billing.paces WHERE key = $1 AND full_until > now()", key_of("purchase", "account", "outage")
    )
    assert counted == [], "whoever sends it again has not begun two"
    await stage.stripe.faults("none")
    bought = await stage.buy("outage")
    assert bought["order_id"] == row["id"]
    await stage.stripe.pay(bought["checkout_url"])
    await stage.has_in_books("outage", granted=500_000)


async def test_an_answer_of_stripes_that_was_lost_makes_no_second_checkout(stage: BillingStage) -> None:
    await stage.stripe.faults("lost", times=1, only="POST")
    bought = await stage.buy("lost-answer")
    sessions = await stage.stripe.client.v1.checkout.sessions.list_async({"limit": 100})
    ours = [each for each in sessions.data if each.client_reference_id == bought["order_id"]]
    assert len(ours) == 1


async def test_without_stripe_purchases_are_off_and_say_so(
    stage: BillingStage, migrated_url: str, nats_url: str
) -> None:
    off = settings_for(migrated_url, nats_url, None)
    async with running_billing(off):
        url = f"http://127.0.0.1:{off.billing_port}"
        for answer in (
            await stage.http.post(
                f"{url}/billing/purchase-credits",
                json={"package_id": "small", "account_id": "ana"},
                headers={"authorization": BEARER},
            ),
            await stage.http.get(f"{url}/billing/packages"),
            await stage.http.get(f"{url}/billing/plans"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "purchases_off")


async def test_what_is_sold_is_listed_in_the_currency_that_is_asked_for(stage: BillingStage) -> None:
    packages = (await stage.http.get(f"{stage.url}/billing/packages")).json()
    assert packages[0] == {
        "id": "small",
        "tokens": 500_000,
        "amount_minor": 7_490,
        "currency": "brl",
        "prices": {"brl": 7_490, "usd": 1_490},
        "names": {"pt": "Pequeno", "en": "Small"},
    }
    in_dollars = (await stage.http.get(f"{stage.url}/billing/packages", params={"currency": "usd"})).json()
    assert [each["currency"] for each in in_dollars] == ["usd"] * len(packages)
    assert (await stage.http.get(f"{stage.url}/billing/packages", params={"currency": "jpy"})).json() == []
    plans = (await stage.http.get(f"{stage.url}/billing/plans")).json()
    assert "trial" not in {each["id"] for each in plans}, "what has no price is not sold"


@pytest.mark.parametrize("order_id", ["ord_unknown", "%00", "x" * 2_000, "..%2F..", "%F0%9F%92%B8"])
async def test_an_unknown_order_is_a_clear_404(stage: BillingStage, order_id: str) -> None:
    answer = await stage.http.get(f"{stage.url}/billing/orders/{order_id}")
    assert answer.status_code == 404


async def test_a_huge_or_endless_body_is_refused_before_it_is_read(
    stage: BillingStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await stage.http.post(f"{stage.url}/billing/purchase-credits", content=b"[" * 200_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    monkeypatch.setattr("billing.http.bodies.BODY_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.settings.billing_port)
    writer.write(b"POST /billing/purchase-credits HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    await writer.drain()
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    writer.close()


async def test_json_that_nests_without_end_is_refused(stage: BillingStage) -> None:
    answer = await stage.http.post(
        f"{stage.url}/billing/purchase-credits",
        content=b"[" * 30_000,
        headers={"content-type": "application/json", "authorization": BEARER},
    )
    assert answer.status_code in (400, 422)


async def test_a_wish_whose_first_answer_was_lost_is_met_though_the_catalog_changed_meanwhile(
    stage: BillingStage,
) -> None:
    """Stripe knows the order's key with other contents: that order ends, and another one is placed."""
    await stage.stripe.faults("down", times=20, only="POST")
    assert (await stage.ask({"package_id": "small", "account_id": "renamed"}, authorization=BEARER)).status_code == 503
    (order,) = await stage.rows("SELECT id FROM billing.orders WHERE account_id = 'renamed'")
    await stage.stripe.faults("none")
    await stage.stripe.client.v1.checkout.sessions.create_async(
        {
            "mode": "payment",
            "line_items": [
                {"quantity": 1, "price_data": {"currency": "brl", "unit_amount": 5_000, "product_data": {"name": "x"}}}
            ],
            "success_url": "https://example.com",
        },
        {"idempotency_key": f"checkout:{order['id']}"},
    )
    bought = await stage.buy("renamed")
    assert bought["order_id"] != order["id"]
    assert (await stage.row(order["id"]))["state"] == "failed"
    await stage.stripe.pay(bought["checkout_url"])
    await stage.has_in_books("renamed", granted=500_000)


async def test_a_customer_that_was_deleted_at_stripe_is_made_anew(stage: BillingStage) -> None:
    first = await stage.buy("deleted")
    await stage.stripe.pay(first["checkout_url"], "card", "expired")
    await stage.reaches(first["order_id"], "expired")
    (known,) = await stage.rows("SELECT customer_id FROM billing.customers WHERE payer_id = 'deleted'")
    await stage.stripe.client.v1.customers.delete_async(known["customer_id"])
    again = await stage.buy("deleted")
    await stage.stripe.pay(again["checkout_url"])
    await stage.has_in_books("deleted", granted=500_000)


async def test_a_page_of_an_order_does_not_wait_for_a_stripe_that_hangs(
    stage: BillingStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.application.looking.VISIT_SECONDS", 0.2)
    bought = await stage.buy("hanging")
    await stage.rows("UPDATE billing.orders SET looked_at = NULL WHERE id = $1 RETURNING id", bought["order_id"])
    await stage.stripe.faults("slow", seconds=5, times=10, only="GET")
    async with asyncio.timeout(4):
        assert (await stage.order(bought["order_id"]))["state"] == "open"
