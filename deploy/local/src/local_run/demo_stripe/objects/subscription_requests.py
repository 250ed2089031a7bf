"""What programs ask of subscriptions and their items."""

from typing import Any, Final

from local_run.demo_stripe.objects.invoices import refusal_of, settle_invoice, void
from local_run.demo_stripe.objects.subscription_changes import change_ending, change_items
from local_run.demo_stripe.objects.subscriptions import (
    begin_subscription,
    end_subscription,
    follow_paid_invoice,
    method_of,
    update,
)
from local_run.demo_stripe.wire.errors import RefusedError, invalid_parameter, missing_parameter
from local_run.demo_stripe.wire.lists import page_of, same
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.wire.understood import merged_metadata, set_or_none, understood
from local_run.demo_stripe.world.world import World

_OPTIONS: Final = ("proration_behavior", "payment_behavior", "proration_date", "billing_cycle_anchor", "off_session")
_PLAIN: Final = ("default_payment_method", "description")


def create_subscription(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    """For a saved card; most begin in a Checkout Session instead."""
    understood(parameters, *_PLAIN, "customer", "items", "payment_behavior", "off_session")
    if "customer" not in parameters:
        raise missing_parameter("customer")
    customer = world.find("customer", parameters["customer"], "customer")
    items = [_priced(world, each, number) for number, each in enumerate(parameters.get("items", []))]
    if not items:
        raise missing_parameter("items")
    subscription = begin_subscription(
        world,
        customer=customer,
        items=items,
        metadata=merged_metadata({}, parameters.get("metadata")),
        **set_or_none(parameters, *_PLAIN),
    )
    behaviour = parameters.get("payment_behavior", "allow_incomplete")
    invoice = world.find("invoice", subscription["latest_invoice"])
    if behaviour == "default_incomplete":
        return subscription
    if settle_invoice(world, invoice, method_of(world, subscription)):
        follow_paid_invoice(world, subscription)
    elif behaviour == "error_if_incomplete":
        refusal = refusal_of(world, invoice)
        void(world, invoice)
        end_subscription(world, subscription, "payment_failed")
        raise refusal
    return subscription


def _priced(world: World, given: dict[str, Any], number: int) -> tuple[Object, int]:
    understood(given, "price", "quantity")
    price = world.find("price", given.get("price", ""), f"items[{number}][price]")
    if price["type"] != "recurring":
        raise invalid_parameter(f"items[{number}][price]", "The price specified is not recurring.")
    return price, given.get("quantity", 1)


def update_subscription(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, *_PLAIN, *_OPTIONS, "items", "cancel_at_period_end", "cancel_at", "cancellation_details")
    subscription = world.find("subscription", ids[0])
    changes = set_or_none(parameters, *_PLAIN)
    if "metadata" in parameters:
        changes["metadata"] = merged_metadata(subscription["metadata"], parameters["metadata"])
    if "cancellation_details" in parameters:
        changes["cancellation_details"] = {**subscription["cancellation_details"], **parameters["cancellation_details"]}
    if changes.get("default_payment_method"):
        world.find("payment_method", changes["default_payment_method"], "default_payment_method")
    if subscription["status"] == "canceled" and parameters.keys() - {"metadata", "cancellation_details", "expand"}:
        raise RefusedError("A canceled subscription can only update its cancellation_details and metadata.")
    update(world, subscription, **changes)
    change_ending(world, subscription, parameters)
    if parameters.get("items"):
        change_items(world, subscription, parameters["items"], parameters)
    return subscription


def cancel(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    """At once. What is left of the period is not given back: `prorate` and `invoice_now` may be false alone."""
    understood(parameters, "cancellation_details", "prorate", "invoice_now")
    if parameters.get("prorate") or parameters.get("invoice_now"):
        raise RefusedError("The demo Stripe does not do this: prorate", code="demo_not_done", param="prorate")
    subscription = world.find("subscription", ids[0])
    if subscription["status"] in ("canceled", "incomplete_expired"):
        raise RefusedError(f"No such subscription: '{ids[0]}'", status=404, code="resource_missing", param="id")
    end_subscription(world, subscription, "cancellation_requested", parameters.get("cancellation_details"))
    return subscription


def retrieve_subscription(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("subscription", ids[0])


def list_subscriptions(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    """Without `status` all but those that are canceled."""
    understood(parameters, "customer", "price", "status")
    status = parameters.get("status")

    def matches(subscription: Object) -> bool:
        prices = [item["price"]["id"] for item in subscription["items"]["data"]]
        by_status = {
            None: subscription["status"] != "canceled",
            "all": True,
            "ended": subscription["status"] in ("canceled", "incomplete_expired"),
        }
        is_wanted = by_status.get(status, subscription["status"] == status)
        return is_wanted and parameters.get("price", prices[0]) in prices and same(parameters, "customer")(subscription)

    return page_of(world.all_of("subscription"), "/v1/subscriptions", parameters, matches)


# --- items ---


def list_items(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "subscription")
    subscription = world.find("subscription", parameters["subscription"], "subscription")
    return page_of(subscription["items"]["data"], "/v1/subscription_items", parameters)


def retrieve_item(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return _item(world, ids[0])[1]


def update_item(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, *_OPTIONS, "price", "quantity")
    subscription, item = _item(world, ids[0])
    change: dict[str, Any] = {"id": item["id"]}
    change |= {name: parameters[name] for name in ("price", "quantity") if name in parameters}
    change_items(world, subscription, [change], parameters)
    return _item(world, ids[0])[1]


def _item(world: World, identifier: str) -> tuple[Object, Object]:
    for subscription in world.all_of("subscription"):
        for item in subscription["items"]["data"]:
            if item["id"] == identifier:
                return subscription, item
    raise RefusedError(f"No such subscription_item: '{identifier}'", status=404, code="resource_missing", param="id")
