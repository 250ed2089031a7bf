"""The billing portal: its configurations, and sessions that lead a customer to its page."""

from typing import Any, Final

from local_run.demo_stripe.objects.subscription_changes import change_ending, change_items, change_later
from local_run.demo_stripe.objects.subscriptions import end_subscription
from local_run.demo_stripe.wire.errors import RefusedError, invalid_parameter, missing_parameter
from local_run.demo_stripe.wire.lists import page_of, same
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.wire.understood import merged_metadata, set_or_none, understood
from local_run.demo_stripe.world.world import World

SESSION_SECONDS: Final = 3_600
_PLAIN: Final = ("default_return_url", "name", "active")
_FEATURES: Final[Object] = {
    "customer_update": {"allowed_updates": ["email"], "enabled": True},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "feedback_options": None, "options": []},
        "enabled": True,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {"enabled": False, "duration": {"type": "indefinite", "interval_options": []}},
    "subscription_update": {
        "billing_cycle_anchor": None,
        "default_allowed_updates": ["price"],
        "enabled": True,
        "products": [],
        "proration_behavior": "always_invoice",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}
"""Of the configuration that is there from the start, and of what a new one does not say."""


def create_configuration(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, *_PLAIN, "features", "business_profile", "login_page")
    features = {name: {**_FEATURES[name], "enabled": False} for name in _FEATURES}
    return _new_configuration(
        world,
        business_profile=dict(parameters.get("business_profile") or {}),
        features=_merged_features(features, parameters.get("features", {})),
        metadata=merged_metadata({}, parameters.get("metadata")),
        **set_or_none(parameters, "default_return_url", "name"),
    )


def _new_configuration(world: World, **values: Any) -> Object:
    configuration = world.create(
        "billing_portal.configuration",
        "bpc",
        **{
            "active": True,
            "business_profile": {},
            "is_default": False,
            "login_page": {"enabled": False},
            "metadata": {},
            "updated": world.now(),
            **values,
        },
    )
    world.emit("billing_portal.configuration.created", configuration)
    return configuration


def _merged_features(features: Object, given: dict[str, Any]) -> Object:
    merged = dict(features)
    for name, told in given.items():
        known = {each: (value if value != "" else []) for each, value in told.items()}
        if name == "subscription_update":
            known["products"] = [_product_of(each) for each in known.get("products", features[name]["products"])]
        for inner in ("cancellation_reason", "schedule_at_period_end"):
            if inner in known:
                known[inner] = {**features[name][inner], **known[inner]}
        merged[name] = {**merged[name], **known}
    return merged


def _product_of(given: dict[str, Any]) -> Object:
    return {
        "adjustable_quantity": {"enabled": False, "maximum": None, "minimum": 1},
        "prices": given["prices"],
        "product": given["product"],
    }


def update_configuration(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, *_PLAIN, "features", "business_profile", "login_page")
    configuration = world.find("billing_portal.configuration", ids[0])
    changes = {**set_or_none(parameters, *_PLAIN), "updated": world.now()}
    if "features" in parameters:
        changes["features"] = _merged_features(configuration["features"], parameters["features"])
    if "business_profile" in parameters:
        changes["business_profile"] = {**configuration["business_profile"], **parameters["business_profile"]}
    if "metadata" in parameters:
        changes["metadata"] = merged_metadata(configuration["metadata"], parameters["metadata"])
    before = world.change(configuration, **changes)
    world.emit("billing_portal.configuration.updated", configuration, before)
    return configuration


def retrieve_configuration(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("billing_portal.configuration", ids[0])


def list_configurations(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "active", "is_default")
    known = world.all_of("billing_portal.configuration")
    return page_of(known, "/v1/billing_portal/configurations", parameters, same(parameters, "active", "is_default"))


def create_session(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "customer", "configuration", "return_url", "locale", "flow_data")
    if "customer" not in parameters:
        raise missing_parameter("customer")
    customer = world.find("customer", parameters["customer"], "customer")
    if not parameters.get("return_url", "https://").startswith(("http://", "https://")):
        raise invalid_parameter("return_url", "Not a valid URL", "url_invalid")
    configuration = _configuration_of(world, parameters.get("configuration"))
    session = world.create(
        "billing_portal.session",
        "bps",
        configuration=configuration["id"],
        customer=customer["id"],
        flow=_flow_of(world, parameters.get("flow_data")),
        return_url=parameters.get("return_url") or configuration["default_return_url"],
        url="",
        **set_or_none(parameters, "locale"),
    )
    world.change(session, url=f"{world.base_url}/p/session/{session['id']}")
    return session


def _configuration_of(world: World, identifier: str | None) -> Object:
    if identifier is not None:
        configuration = world.find("billing_portal.configuration", identifier, "configuration")
        if not configuration["active"]:
            raise invalid_parameter("configuration", "This configuration is not active.")
        return configuration
    default = next((each for each in world.all_of("billing_portal.configuration") if each["is_default"]), None)
    return default or _new_configuration(world, features=dict(_FEATURES), is_default=True)


def _flow_of(world: World, given: dict[str, Any] | None) -> Object | None:
    if given is None:
        return None
    understood(given, "type", "after_completion", "subscription_cancel", "subscription_update")
    named: Object = {name: given[name] for name in ("subscription_cancel", "subscription_update") if name in given}
    for name, told in named.items():
        world.find("subscription", told["subscription"], f"flow_data[{name}][subscription]")
    return {
        "type": given["type"],
        "after_completion": given.get("after_completion", {"type": "portal_homepage"}),
        **named,
    }


# --- what the page's buttons do ---


def do_on_portal(world: World, session: Object, deed: str, subscription_id: str, price_id: str | None) -> None:
    """`cancel`, `resume`, `change` (to a price): as the session's configuration allows.

    Raises:
        RefusedError: it does not, or the subscription is another customer's.
    """
    if world.now() > session["created"] + SESSION_SECONDS:
        raise RefusedError("This portal session has expired.")
    subscription = world.find("subscription", subscription_id)
    if subscription["customer"] != session["customer"]:
        raise RefusedError("This subscription is another customer's.", status=403)
    features = world.find("billing_portal.configuration", session["configuration"])["features"]
    match deed:
        case "cancel" if features["subscription_cancel"]["enabled"]:
            if features["subscription_cancel"]["mode"] == "immediately":
                end_subscription(world, subscription, "cancellation_requested")
            else:
                change_ending(world, subscription, {"cancel_at_period_end": True})
        case "resume" if subscription["status"] != "canceled":
            change_ending(world, subscription, {"cancel_at_period_end": False})
        case "change" if features["subscription_update"]["enabled"] and price_id is not None:
            if price_id not in {each["id"] for each in prices_offered(world, session, subscription)}:
                raise RefusedError("This price is not offered here.")
            _change(world, subscription, price_id, features["subscription_update"])
        case _:
            raise RefusedError("The portal does not do this here.")


def prices_offered(world: World, session: Object, subscription: Object) -> list[Object]:
    """What the subscription can be changed to: what the configuration lists, else every recurring price."""
    features = world.find("billing_portal.configuration", session["configuration"])["features"]["subscription_update"]
    listed = {price for product in features.get("products") or [] for price in product["prices"]}
    current = subscription["items"]["data"][0]["price"]
    return [
        price
        for price in world.all_of("price")
        if (price["id"] in listed if listed else price["active"])
        and price["type"] == "recurring"
        and price["currency"] == current["currency"]
        and price["id"] != current["id"]
    ]


def _change(world: World, subscription: Object, price_id: str, feature: Object) -> None:
    item = subscription["items"]["data"][0]
    change = [{"id": item["id"], "price": price_id}]
    conditions = {each["type"] for each in feature["schedule_at_period_end"]["conditions"]}
    is_cheaper = world.find("price", price_id)["unit_amount"] < item["price"]["unit_amount"]
    if is_cheaper and "decreasing_item_amount" in conditions:
        change_later(world, subscription, change)
        return
    options = {"proration_behavior": feature["proration_behavior"], "payment_behavior": "error_if_incomplete"}
    change_items(world, subscription, change, options)
