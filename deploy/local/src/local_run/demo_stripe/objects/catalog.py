"""Products and prices."""

from typing import Any

from local_run.demo_stripe.objects.currencies import check_step, checked_currency
from local_run.demo_stripe.wire.errors import RefusedError, invalid_parameter, missing_parameter
from local_run.demo_stripe.wire.lists import page_of, same
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.wire.understood import merged_metadata, set_or_none, understood
from local_run.demo_stripe.world.world import World

MAX_LOOKUP_KEYS = 10
MAX_AMOUNT_MINOR = 99_999_999
_PRODUCT = ("name", "description", "active", "statement_descriptor", "tax_code", "unit_label", "url")


def create_product(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, *_PRODUCT, "id")
    if "id" in parameters and world.get(parameters["id"]) is not None:
        raise RefusedError("Product already exists.", code="resource_already_exists", param="id")
    product = new_product(world, parameters)
    world.emit("product.created", product)
    return product


def new_product(world: World, parameters: dict[str, Any]) -> Object:
    return world.create(
        "product",
        "prod",
        **{
            "active": True,
            "images": [],
            "marketing_features": [],
            "type": "service",
            "updated": world.now(),
            **set_or_none(parameters, *_PRODUCT),
            **({"id": parameters["id"]} if "id" in parameters else {}),
            "metadata": merged_metadata({}, parameters.get("metadata")),
        },
    )


def update_product(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, *_PRODUCT, "default_price")
    product = world.find("product", ids[0])
    changes = {**set_or_none(parameters, *_PRODUCT, "default_price"), "updated": world.now()}
    if "metadata" in parameters:
        changes["metadata"] = merged_metadata(product["metadata"], parameters["metadata"])
    world.emit("product.updated", product, world.change(product, **changes))
    return product


def retrieve_product(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("product", ids[0])


def list_products(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "active", "ids")
    wanted = parameters.get("ids")
    known = (each for each in world.all_of("product") if wanted is None or each["id"] in wanted)
    return page_of(known, "/v1/products", parameters, same(parameters, "active"))


# --- prices ---


def create_price(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(
        parameters,
        *("currency", "unit_amount", "product", "product_data", "recurring", "lookup_key", "transfer_lookup_key"),
        *("nickname", "active", "tax_behavior", "billing_scheme"),
    )
    if ("product" in parameters) == ("product_data" in parameters):
        raise missing_parameter("product")
    _free_lookup_key(world, parameters)
    price = new_price(world, parameters, metadata=merged_metadata({}, parameters.get("metadata")))
    world.emit("price.created", price)
    return price


def new_price(world: World, parameters: dict[str, Any], *, path: str = "", **values: Any) -> Object:
    """A price from a request's parameters, which stand below `path` there."""
    amount = parameters.get("unit_amount")
    if amount is None:
        raise missing_parameter(f"{path}[unit_amount]" if path else "unit_amount")
    if not 0 <= amount <= MAX_AMOUNT_MINOR:
        raise invalid_parameter(f"{path}[unit_amount]" if path else "unit_amount", "Invalid non-negative integer")
    currency = checked_currency(parameters["currency"])
    check_step(amount, currency, f"{path}[unit_amount]" if path else "unit_amount")
    if "product" in parameters:
        product = world.find("product", parameters["product"], f"{path}[product]" if path else "product")
    else:
        inline = {"active": False} if values.get("active") is False else {}
        product = new_product(world, {**parameters["product_data"], **inline})
    return world.create(
        "price",
        "price",
        **{
            "active": parameters.get("active", True),
            "billing_scheme": "per_unit",
            "currency": currency,
            "lookup_key": parameters.get("lookup_key"),
            "metadata": {},
            "nickname": parameters.get("nickname"),
            "product": product["id"],
            "recurring": _recurring(parameters.get("recurring")),
            "tax_behavior": parameters.get("tax_behavior", "unspecified"),
            "type": "recurring" if "recurring" in parameters else "one_time",
            "unit_amount": amount,
            "unit_amount_decimal": str(amount),
            **values,
        },
    )


def _recurring(given: dict[str, Any] | None) -> Object | None:
    if given is None:
        return None
    understood(given, "interval", "interval_count", "usage_type")
    return {"interval": given["interval"], "interval_count": given.get("interval_count", 1), "usage_type": "licensed"}


def _free_lookup_key(world: World, parameters: dict[str, Any]) -> None:
    key = parameters.get("lookup_key")
    holder = next((each for each in world.all_of("price") if key and each["lookup_key"] == key), None)
    if holder is None:
        return
    if not parameters.get("transfer_lookup_key"):
        message = f"A price (`{holder['id']}`) already uses that lookup key."
        raise RefusedError(message, code="resource_already_exists", param="lookup_key")
    world.emit("price.updated", holder, world.change(holder, lookup_key=None))


def update_price(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "active", "nickname", "lookup_key", "transfer_lookup_key", "tax_behavior")
    price = world.find("price", ids[0])
    if parameters.get("lookup_key") != price["lookup_key"]:
        _free_lookup_key(world, parameters)
    changes = set_or_none(parameters, "active", "nickname", "lookup_key", "tax_behavior")
    if "metadata" in parameters:
        changes["metadata"] = merged_metadata(price["metadata"], parameters["metadata"])
    world.emit("price.updated", price, world.change(price, **changes))
    return price


def retrieve_price(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("price", ids[0])


def list_prices(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    """As Stripe's: prices made in passing by a session are inactive, and listed as such."""
    understood(parameters, "active", "product", "type", "currency", "lookup_keys", "recurring")
    keys = parameters.get("lookup_keys")
    if len(keys or ()) > MAX_LOOKUP_KEYS:
        raise invalid_parameter("lookup_keys", f"At most {MAX_LOOKUP_KEYS} lookup keys at once.")
    known = (each for each in world.all_of("price") if keys is None or each["lookup_key"] in keys)
    return page_of(known, "/v1/prices", parameters, same(parameters, "active", "product", "type", "currency"))
