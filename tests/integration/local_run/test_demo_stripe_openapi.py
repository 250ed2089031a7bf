"""The demo Stripe against Stripe's own OpenAPI description: the calls that it answers, and every object that it makes.

The description is two months older than the SDK, so what only one of the two knows is named here.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator
from local_run.demo_stripe.web.routes import ROUTES, Route
from local_run.demo_stripe.wire.sdk_types import parameters_of
from local_run.demo_stripe.wire.shapes import CLASSES

from tests.support.demo_stripe import StripeStage, start_demo_stripe
from tests.support.stripe_openapi.extract import EXTRACT

DESCRIPTION: Final[dict[str, Any]] = json.loads(EXTRACT.read_text())
DAY: Final = 86_400
OLDER: Final = {"bank_account", "card", "default_alipay_account", "default_bank_account", "default_card"} | {
    *("client_secret", "payment_method_types")
}
"""Parameters that the description has and the SDK has no more: the demo refuses them, as Stripe does now."""
NEWER: Final = {
    "billing_portal.configuration.features": {"subscription_pause"},
    "billing_portal.session": {"after_expiration"},
    "checkout.session": {"allowed_payment_method_types"},
    "dispute": {"intended_submission_method", "network_reason_code"},
    "dispute.evidence": {"appeal"},
    "dispute.evidence_details": {"submission_method"},
    "payment_intent": {"payment_record", "source"},
    "product": {"tax_details", "type"},
    "subscription": {"status_details"},
    "subscription.items.data": {"current_trial", "plan"},
}
"""Fields that the SDK's version of the API has, and the description has not."""
SHOWN_ON_DEMAND: Final = {"charge.refunds", "customer.cash_balance"}
"""Fields that may be null and that Stripe leaves out until they are asked for."""


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_call_and_its_parameters_are_stripe_s(route: Route) -> None:
    described = DESCRIPTION["calls"][f"{route.method} {route.path}"]
    assert described is not None
    assert set(described) - set(parameters_of(route.parameters)) <= OLDER


async def test_every_object_is_as_stripe_describes_it() -> None:
    async with start_demo_stripe() as stage:
        await _live_through_everything(stage)
        world = stage.demo.world
        made = {kind: list(world.all_of(kind)) for kind in CLASSES if kind not in PARTS}
        assert {kind for kind, things in made.items() if not things} == set()
        wrong = {problem for things in made.values() for thing in things for problem in problems_of(thing)}
        assert sorted(wrong) == []


PARTS: Final = {"discount", "item", "line_item", "plan", "subscription_item", "account", "test_helpers.test_clock"}
"""Parts of others, and what is the same for all."""


def problems_of(thing: dict[str, Any]) -> Iterator[str]:
    """Where it is not as described: by JSON Schema, and what may be null yet is not there."""
    known = _without_newer(thing, thing["object"])
    schema = {"$ref": f"#/objects/{thing['object']}", "objects": DESCRIPTION["objects"]}
    for error in Draft202012Validator(schema).iter_errors(known):
        place = ".".join(str(each) for each in error.absolute_path if not isinstance(each, int))
        yield f"{thing['object']}.{place}: {error.message[:160]}"
    missing = set(_missing_nulls(DESCRIPTION["objects"][thing["object"]], known, thing["object"]))
    yield from (f"{place} is not there" for place in missing - SHOWN_ON_DEMAND)


def _without_newer(value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_without_newer(each, place) for each in value]
    if not isinstance(value, dict):
        return value
    newer = NEWER.get(place, set())
    return {name: _without_newer(each, f"{place}.{name}") for name, each in value.items() if name not in newer}


def _missing_nulls(schema: Any, value: Any, place: str) -> Iterator[str]:
    described = _referred(schema)
    if isinstance(value, list):
        for each in value:
            yield from _missing_nulls(described.get("items", {}), each, place)
    if not isinstance(value, dict):
        return
    for choice in described.get("anyOf", ()):
        if set(value) <= set(_referred(choice).get("properties", ())):
            yield from _missing_nulls(choice, value, place)
    for name, inner in described.get("properties", {}).items():
        if name in value:
            yield from _missing_nulls(inner, value[name], f"{place}.{name}")
        elif {"type": "null"} in inner.get("anyOf", ()) or inner.get("type") == ["string", "null"]:
            yield f"{place}.{name}"


def _referred(schema: Any) -> Any:
    return DESCRIPTION["objects"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


async def _live_through_everything(stage: StripeStage) -> None:
    """Each kind of object, in as many of its states as matter."""
    client, http = stage.client.v1, stage.http
    customer = (await client.customers.create_async({"email": "ana@example.com", "name": "Ana"})).id
    await client.webhook_endpoints.create_async({"url": "http://127.0.0.1:9/none", "enabled_events": ["payout.paid"]})
    coupon = (await client.coupons.create_async({"percent_off": 10, "duration": "forever"})).id
    promotion: Any = {"type": "coupon", "coupon": coupon}
    await client.promotion_codes.create_async({"promotion": promotion, "code": "DEZ"})
    price_data: Any = {"currency": "brl", "unit_amount": 7_490, "product_data": {"name": "500 mil tokens"}}
    order: Any = {
        "mode": "payment",
        "line_items": [{"price_data": price_data, "quantity": 1}],
        "allow_promotion_codes": True,
        "invoice_creation": {"enabled": True},
        "success_url": "http://127.0.0.1/done",
        "cancel_url": "http://127.0.0.1/buy",
        "locale": "pt-BR",
        "metadata": {"order": "1"},
    }
    for method, outcome in (
        ("card", "declined"),
        ("card", "paid"),
        ("pix", "later"),
        ("boleto", "later"),
        ("card", "expired"),
    ):
        for holder in ({}, {"customer": customer}):
            session = await client.checkout.sessions.create_async(order | holder)
            ended = await stage.pay(str(session.url), method, outcome, promotion_code="DEZ")
            if outcome == "later":
                await stage.complete_payment(ended["payment_intent"], "paid" if holder else "failed")
            elif outcome == "paid":
                await stage.refunds("failed" if holder else "pending")
                await client.refunds.create_async({"payment_intent": ended["payment_intent"], "amount": 90})
                dispute = await stage.dispute(ended["payment_intent"])
                await stage.move_dispute(dispute["id"], "won")
                await http.post(f"{stage.url}/demo/fraud_warnings", json={"payment_intent": ended["payment_intent"]})
    recurring: Any = {"interval": "month"}
    plan = await client.prices.create_async(
        {"currency": "brl", "unit_amount": 12_900, "recurring": recurring, "product_data": {"name": "Básico"}}
    )
    subscribing: Any = {**order, "mode": "subscription", "line_items": [{"price": plan.id, "quantity": 1}]}
    del subscribing["invoice_creation"]
    for method, outcome in (("card", "paid"), ("boleto", "later")):
        session = await client.checkout.sessions.create_async(subscribing | {"customer": customer})
        await stage.pay(str(session.url), method, outcome)
    await client.checkout.sessions.create_async(
        {"mode": "setup", "currency": "brl", "success_url": "http://127.0.0.1/"}
    )
    saving = await client.checkout.sessions.create_async(
        {"mode": "setup", "currency": "brl", "customer": customer, "success_url": "http://127.0.0.1/"}
    )
    await stage.pay(str(saving.url))
    await client.billing_portal.sessions.create_async({"customer": customer, "return_url": "http://127.0.0.1/"})
    await client.invoice_items.create_async({"customer": customer, "amount": 100, "currency": "brl"})
    drafted = await client.invoices.create_async({"customer": customer, "pending_invoice_items_behavior": "include"})
    await client.invoices.finalize_invoice_async(drafted.id)
    await client.invoices.void_invoice_async(drafted.id)
    await stage.cards("declined", times=3)
    await stage.advance(40 * DAY)
