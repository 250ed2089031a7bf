"""Checkout Sessions: made, listed, expired; what becomes of them when somebody pays stands in `paying`."""

from dataclasses import dataclass
from typing import Any, Final

from local_run.demo_stripe.objects.catalog import checked_currency, new_price
from local_run.demo_stripe.objects.promotions import discount_minor, is_redeemable
from local_run.demo_stripe.wire.errors import RefusedError, invalid_parameter, missing_parameter
from local_run.demo_stripe.wire.lists import page_of, same
from local_run.demo_stripe.wire.shapes import Object, make
from local_run.demo_stripe.wire.understood import merged_metadata, set_or_none, understood
from local_run.demo_stripe.world.timers import clear_timer, set_timer
from local_run.demo_stripe.world.world import World

SHORTEST_SECONDS: Final = 30 * 60
LONGEST_SECONDS: Final = 24 * 3_600
_SHOWN: Final = (
    *("allow_promotion_codes", "billing_address_collection", "cancel_url", "client_reference_id", "customer_email"),
    *("locale", "submit_type", "success_url"),
)
_TAKEN: Final = (
    *_SHOWN,
    *("mode", "line_items", "customer", "currency", "expires_at", "discounts", "invoice_creation", "automatic_tax"),
    *("payment_intent_data", "subscription_data", "setup_intent_data", "allowed_payment_method_types"),
    *("payment_method_options", "customer_creation", "customer_update", "ui_mode", "custom_text", "tax_id_collection"),
    *("excluded_payment_method_types", "payment_method_collection", "saved_payment_method_options"),
    *("consent_collection", "phone_number_collection", "adaptive_pricing"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of a session, as it was ordered."""

    price: Object
    quantity: int
    name: str


def create_session(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, *_TAKEN)
    _check_together(parameters)
    mode: str = parameters["mode"]
    if "customer" in parameters:
        world.find("customer", parameters["customer"], "customer")
    items = [_item_of(world, given, mode, number) for number, given in enumerate(parameters.get("line_items", []))]
    currency = _currency_of(items, parameters)
    expires_at = _expiry_of(world, parameters.get("expires_at"))
    coupon, code = _given_discount(world, parameters)
    session_id = world.new_id("cs_test", 58)
    session = world.create(
        "checkout.session",
        "cs_test",
        id=session_id,
        adaptive_pricing={"enabled": parameters.get("adaptive_pricing", {}).get("enabled", False)},
        automatic_tax={"enabled": parameters.get("automatic_tax", {}).get("enabled", False)},
        currency=currency,
        custom_fields=[],
        custom_text={},
        customer=parameters.get("customer"),
        customer_creation=_customer_creation(parameters),
        expires_at=expires_at,
        invoice_creation={"enabled": parameters.get("invoice_creation", {}).get("enabled", False), "invoice_data": {}}
        if mode == "payment"
        else None,
        metadata=merged_metadata({}, parameters.get("metadata")),
        mode=mode,
        payment_method_collection="always",
        phone_number_collection={"enabled": False},
        payment_method_types=_methods(parameters, mode, currency),
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
        data=_data_of(parameters),
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


# --- what was asked ---


def _check_together(parameters: dict[str, Any]) -> None:
    if "mode" not in parameters:
        raise missing_parameter("mode")
    if "success_url" not in parameters:
        raise missing_parameter("success_url")
    for name in ("success_url", "cancel_url"):
        if name in parameters and not parameters[name].startswith(("http://", "https://")):
            raise invalid_parameter(name, "Not a valid URL", "url_invalid")
    mode = parameters["mode"]
    if mode != "setup" and not parameters.get("line_items"):
        raise missing_parameter("line_items")
    for name, needed in (
        ("payment_intent_data", "payment"),
        ("subscription_data", "subscription"),
        ("setup_intent_data", "setup"),
        ("invoice_creation", "payment"),
    ):
        if name in parameters and mode != needed:
            raise invalid_parameter(name, f"You can only use `{name}` in `{needed}` mode.")
    if "customer" in parameters and "customer_email" in parameters:
        raise RefusedError(
            "You may only specify one of these parameters: customer, customer_email.", code="parameters_exclusive"
        )
    if "discounts" in parameters and "allow_promotion_codes" in parameters:
        raise RefusedError(
            "You may only specify one of these parameters: allow_promotion_codes, discounts.",
            code="parameters_exclusive",
        )
    if parameters.get("ui_mode", "hosted_page") != "hosted_page":
        raise invalid_parameter("ui_mode", "The demo Stripe has hosted pages alone.", "demo_not_done")


def _data_of(parameters: dict[str, Any]) -> dict[str, Any]:
    """What the session hands on to the payment intent, subscription or setup intent that it makes."""
    given: dict[str, Any] = {}
    for name in ("payment_intent_data", "subscription_data", "setup_intent_data"):
        given |= parameters.get(name, {})
    understood(
        given, "description", "receipt_email", "setup_future_usage", "statement_descriptor_suffix", "billing_mode"
    )
    return given


def _item_of(world: World, given: dict[str, Any], mode: str, number: int) -> Item:
    path = f"line_items[{number}]"
    understood(given, "price", "price_data", "quantity")
    if ("price" in given) == ("price_data" in given):
        raise missing_parameter(f"{path}[price]")
    if given.get("quantity", 0) < 1:
        raise missing_parameter(f"{path}[quantity]")
    if "price" in given:
        price = world.find("price", given["price"], f"{path}[price]")
        if not price["active"]:
            raise invalid_parameter(f"{path}[price]", f"The price specified is inactive: {price['id']}.")
    else:
        if ("product" in given["price_data"]) == ("product_data" in given["price_data"]):
            raise missing_parameter(f"{path}[price_data][product]")
        price = new_price(world, given["price_data"], path=f"{path}[price_data]", active=False)
    if (price["type"] == "recurring") != (mode == "subscription"):
        raise RefusedError(
            f"You specified `{mode}` mode but passed a {price['type'].replace('_', '-')} price.", param=path
        )
    product = world.get(price["product"], "product")
    return Item(price=price, quantity=given["quantity"], name=product["name"] if product else price["id"])


def _currency_of(items: list[Item], parameters: dict[str, Any]) -> str | None:
    currencies = {item.price["currency"] for item in items}
    if len(currencies) > 1:
        raise RefusedError("All prices on a Checkout Session must have the same currency.", param="line_items")
    wanted = checked_currency(parameters["currency"]) if "currency" in parameters else None
    if wanted is not None and currencies and currencies != {wanted}:
        raise invalid_parameter("currency", f"The prices have no amount in {wanted}.")
    return next(iter(currencies), wanted)


def _expiry_of(world: World, wanted: int | None) -> int:
    # By the clock of whoever asks, which nobody moves: a Checkout can be shown in a demo that is months ahead.
    now = world.unmoved_now()
    if wanted is None:
        return now + LONGEST_SECONDS
    # A request is on its way for a moment: the bounds are meant when it was sent.
    if not SHORTEST_SECONDS - 60 <= wanted - now <= LONGEST_SECONDS + 60:
        raise invalid_parameter(
            "expires_at", "The `expires_at` timestamp must be between 30 minutes and 24 hours away."
        )
    return wanted


def _given_discount(world: World, parameters: dict[str, Any]) -> tuple[Object | None, Object | None]:
    given = parameters.get("discounts") or []
    if not given:
        return None, None
    if len(given) > 1 or ("coupon" in given[0]) == ("promotion_code" in given[0]):
        raise invalid_parameter("discounts", "You can only apply one coupon or promotion code.")
    code = None
    if "promotion_code" in given[0]:
        code = world.find("promotion_code", given[0]["promotion_code"], "discounts[0][promotion_code]")
    identifier = code["promotion"]["coupon"] if code else given[0]["coupon"]
    coupon = world.find("coupon", identifier, "discounts[0][coupon]")
    if not is_redeemable(world, coupon) or (code is not None and not code["active"]):
        raise RefusedError("This coupon cannot be redeemed any more.", code="coupon_expired", param="discounts[0]")
    return coupon, code


def _customer_creation(parameters: dict[str, Any]) -> str | None:
    if "customer" in parameters:
        return None
    given: str = parameters.get("customer_creation", "if_required")
    # An invoice is somebody's.
    needed = parameters["mode"] == "subscription" or parameters.get("invoice_creation", {}).get("enabled")
    return "always" if needed else given


def _methods(parameters: dict[str, Any], mode: str, currency: str | None) -> list[str]:
    """Those that such a session could be paid by; `allowed_payment_method_types` silently takes away."""
    usable = ["card"]
    if currency == "brl" and mode == "payment":
        later = parameters.get("payment_intent_data", {}).get("setup_future_usage")
        usable += ["boleto"] if later else ["pix", "boleto"]
    elif currency == "brl" and mode == "subscription":
        usable += ["boleto"]
    allowed = parameters.get("allowed_payment_method_types") or usable
    excluded = parameters.get("excluded_payment_method_types") or []
    left = [each for each in usable if each in allowed and each not in excluded]
    if not left:
        raise RefusedError("No payment method types are left for this session.", param="allowed_payment_method_types")
    return left
