"""Checkout Sessions: made, listed, expired; what becomes of them when somebody pays stands in `paying`."""

from typing import Any, Final

from local_run.demo_stripe.objects.intents import check_amount
from local_run.demo_stripe.objects.promotions import discount_minor
from local_run.demo_stripe.objects.session_parameters import (
    Item,
    check_together,
    currency_of,
    customer_creation_of,
    data_of,
    expiry_of,
    given_discount,
    item_of,
    methods_of,
)
from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.lists import page_of, same
from local_run.demo_stripe.wire.shapes import Object, make
from local_run.demo_stripe.wire.understood import merged_metadata, set_or_none, understood
from local_run.demo_stripe.world.timers import clear_timer, set_timer
from local_run.demo_stripe.world.world import World

_SHOWN: Final = (
    *("allow_promotion_codes", "billing_address_collection", "cancel_url", "client_reference_id", "customer_email"),
    *("locale", "submit_type", "success_url"),
)
_TAKEN: Final = (
    *_SHOWN,
    *("mode", "line_items", "customer", "currency", "expires_at", "discounts", "invoice_creation", "automatic_tax"),
    *("payment_intent_data", "subscription_data", "setup_intent_data", "allowed_payment_method_types"),
    *("payment_method_options", "customer_creation", "ui_mode", "excluded_payment_method_types", "adaptive_pricing"),
)


def create_session(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, *_TAKEN)
    check_together(parameters)
    mode: str = parameters["mode"]
    if "customer" in parameters:
        world.find("customer", parameters["customer"], "customer")
    items = [item_of(world, given, mode, number) for number, given in enumerate(parameters.get("line_items", []))]
    if total := sum(item.price["unit_amount"] * item.quantity for item in items):
        check_amount(total, "line_items")
    currency = currency_of(items, parameters)
    expires_at = expiry_of(world, parameters.get("expires_at"))
    coupon, code = given_discount(world, parameters)
    with_invoice = parameters.get("invoice_creation", {}).get("enabled", False)
    session_id = world.new_id("cs_test", 58)
    session = world.create(
        "checkout.session",
        "cs_test",
        id=session_id,
        adaptive_pricing={"enabled": parameters.get("adaptive_pricing", {}).get("enabled", False)},
        automatic_tax={"enabled": False},
        currency=currency,
        custom_fields=[],
        custom_text={},
        customer=parameters.get("customer"),
        customer_creation=customer_creation_of(parameters),
        expires_at=expires_at,
        invoice_creation={"enabled": with_invoice, "invoice_data": {}} if mode == "payment" else None,
        metadata=merged_metadata({}, parameters.get("metadata")),
        mode=mode,
        payment_method_collection="always",
        phone_number_collection={"enabled": False},
        payment_method_types=methods_of(parameters, mode, currency),
        payment_method_options=parameters.get("payment_method_options", {}),
        payment_status="unpaid",
        shipping_options=[],
        status="open",
        ui_mode="hosted_page",
        url=f"{world.base_url}/c/pay/{session_id}",
        **set_or_none(parameters, *_SHOWN),
    )
    world.note(
        session_id,
        items=[{"price": item.price["id"], "quantity": item.quantity, "name": item.name} for item in items],
        lines=[world.new_id("li") for _ in items],
        data=data_of(parameters),
        invoice_data=parameters.get("invoice_creation", {}).get("invoice_data", {}),
    )
    reckon(world, session, coupon, code)
    set_timer(world, session, "expire_session", expires_at + world.ahead_seconds)
    return session


def reckon(world: World, session: Object, coupon: Object | None, code: Object | None) -> None:
    """Write down what the session costs with that coupon, and which code brought it."""
    items = items_of(world, session)
    subtotal = sum(item.price["unit_amount"] * item.quantity for item in items)
    off = discount_minor(coupon, subtotal, session["currency"]) if coupon else 0
    shown = (
        [{"coupon": None if code else coupon["id"], "promotion_code": code["id"] if code else None}] if coupon else []
    )
    world.note(session["id"], coupon=coupon["id"] if coupon else None, code=code["id"] if code else None)
    if session["mode"] == "setup":
        return
    world.change(
        session,
        amount_subtotal=subtotal,
        amount_total=subtotal - off,
        discounts=shown,
        total_details={"amount_discount": off, "amount_shipping": 0, "amount_tax": 0},
    )


def items_of(world: World, session: Object) -> list[Item]:
    return [
        Item(price=world.find("price", each["price"]), quantity=each["quantity"], name=each["name"])
        for each in world.notes(session["id"])["items"]
    ]


def line_items_of(world: World, session: Object) -> list[Object]:
    """The session's lines, as its `line_items` shows them; a discount stands with the first ones."""
    left = session["total_details"]["amount_discount"] if session["total_details"] else 0
    lines = []
    for identifier, item in zip(world.notes(session["id"])["lines"], items_of(world, session), strict=True):
        subtotal = item.price["unit_amount"] * item.quantity
        off = min(left, subtotal)
        left -= off
        lines.append(
            make(
                "item",
                id=identifier,
                amount_discount=off,
                amount_subtotal=subtotal,
                amount_tax=0,
                amount_total=subtotal - off,
                currency=item.price["currency"],
                description=item.name,
                metadata={},
                price=item.price,
                quantity=item.quantity,
            )
        )
    return lines


def list_lines(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    session = world.find("checkout.session", ids[0])
    url = f"/v1/checkout/sessions/{ids[0]}/line_items"
    return page_of(line_items_of(world, session), url, parameters)


def retrieve_session(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("checkout.session", ids[0])


def update_session(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters)
    session = world.find("checkout.session", ids[0])
    world.change(session, metadata=merged_metadata(session["metadata"], parameters.get("metadata")))
    return session


def list_sessions(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "customer", "payment_intent", "subscription", "status", "customer_details")
    email = parameters.get("customer_details", {}).get("email")
    wanted = same(parameters, "customer", "payment_intent", "subscription", "status")

    def matches(session: Object) -> bool:
        return wanted(session) and (email is None or (session["customer_details"] or {}).get("email") == email)

    return page_of(world.all_of("checkout.session"), "/v1/checkout/sessions", parameters, matches)


def request_expiry(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    session = world.find("checkout.session", ids[0])
    if session["status"] != "open":
        message = f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {session["status"]}.'
        raise RefusedError(message)
    expire(world, session)
    return session


def expire(world: World, session: Object) -> None:
    if session["status"] != "open":
        return
    clear_timer(world, session, "expire_session")
    world.change(session, status="expired", url=None)
    world.emit("checkout.session.expired", session)
