"""What a request for a Checkout Session asks for: which parameters go together, and what they come to."""

from dataclasses import dataclass
from typing import Any, Final

from local_run.demo_stripe.objects.catalog import new_price
from local_run.demo_stripe.objects.currencies import checked_currency
from local_run.demo_stripe.objects.promotions import is_redeemable
from local_run.demo_stripe.wire.errors import RefusedError, invalid_parameter, missing_parameter
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.wire.understood import understood
from local_run.demo_stripe.world.world import World

SHORTEST_SECONDS: Final = 30 * 60
LONGEST_SECONDS: Final = 24 * 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of a session, as it was ordered."""

    price: Object
    quantity: int
    name: str


def check_together(parameters: dict[str, Any]) -> None:
    """
    Raises:
        RefusedError: something is missing, or does not go with something else.
    """
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
    if parameters.get("automatic_tax", {}).get("enabled"):
        raise invalid_parameter("automatic_tax", "The demo Stripe reckons no taxes.", "demo_not_done")
    understood(parameters.get("invoice_creation", {}), "enabled", "invoice_data")
    understood(parameters.get("invoice_creation", {}).get("invoice_data", {}), "description", "footer")
    if parameters.get("ui_mode", "hosted_page") != "hosted_page":
        raise invalid_parameter("ui_mode", "The demo Stripe has hosted pages alone.", "demo_not_done")


def data_of(parameters: dict[str, Any]) -> dict[str, Any]:
    """What the session hands on to the payment intent, subscription or setup intent that it makes."""
    given: dict[str, Any] = {}
    for name in ("payment_intent_data", "subscription_data", "setup_intent_data"):
        given |= parameters.get(name, {})
    understood(
        given, "description", "receipt_email", "setup_future_usage", "statement_descriptor_suffix", "billing_mode"
    )
    return given


def item_of(world: World, given: dict[str, Any], mode: str, number: int) -> Item:
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


def currency_of(items: list[Item], parameters: dict[str, Any]) -> str | None:
    currencies = {item.price["currency"] for item in items}
    if len(currencies) > 1:
        raise RefusedError("All prices on a Checkout Session must have the same currency.", param="line_items")
    wanted = checked_currency(parameters["currency"]) if "currency" in parameters else None
    if wanted is not None and currencies and currencies != {wanted}:
        raise invalid_parameter("currency", f"The prices have no amount in {wanted}.")
    return next(iter(currencies), wanted)


def expiry_of(world: World, wanted: int | None) -> int:
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


def given_discount(world: World, parameters: dict[str, Any]) -> tuple[Object | None, Object | None]:
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


def customer_creation_of(parameters: dict[str, Any]) -> str | None:
    if "customer" in parameters:
        return None
    given: str = parameters.get("customer_creation", "if_required")
    # An invoice is somebody's.
    needed = parameters["mode"] == "subscription" or parameters.get("invoice_creation", {}).get("enabled")
    return "always" if needed else given


def methods_of(parameters: dict[str, Any], mode: str, currency: str | None) -> list[str]:
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
