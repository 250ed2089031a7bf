"""What programs ask of payment intents and charges: a saved card charged while its owner is away."""

from typing import Any

from local_run.demo_stripe.objects.currencies import check_step, checked_currency
from local_run.demo_stripe.objects.customers import find_method
from local_run.demo_stripe.objects.disputes import open_dispute
from local_run.demo_stripe.objects.intents import (
    attempt,
    cancel_intent,
    card_error,
    check_amount,
    new_intent,
    unexpected_state,
)
from local_run.demo_stripe.wire.errors import RefusedError, missing_parameter
from local_run.demo_stripe.wire.lists import list_of, page_of, same
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.wire.understood import merged_metadata, set_or_none, understood
from local_run.demo_stripe.world.world import World

_TAKEN = ("description", "receipt_email", "setup_future_usage", "statement_descriptor_suffix")


def create_intent(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(
        parameters,
        *_TAKEN,
        *("amount", "currency", "customer", "payment_method", "confirm", "off_session", "automatic_payment_methods"),
        *("error_on_requires_action", "allowed_payment_method_types"),
    )
    currency = checked_currency(parameters["currency"])
    check_amount(parameters["amount"])
    check_step(parameters["amount"], currency, "amount")
    if "customer" in parameters:
        world.find("customer", parameters["customer"], "customer")
    method = _method_of(world, parameters, parameters.get("customer"))
    if parameters.get("confirm") and method is None:
        raise missing_parameter("payment_method")
    intent = new_intent(
        world,
        amount=parameters["amount"],
        currency=currency,
        customer=parameters.get("customer"),
        metadata=merged_metadata({}, parameters.get("metadata")),
        payment_method=method["id"] if method else None,
        status="requires_confirmation" if method else "requires_payment_method",
        **set_or_none(parameters, *_TAKEN),
    )
    return _confirmed(world, intent, method) if parameters.get("confirm") and method else intent


def confirm_intent(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "payment_method", "off_session", "error_on_requires_action", "return_url")
    intent = world.find("payment_intent", ids[0])
    if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
        raise unexpected_state(intent, "confirm")
    given = parameters if "payment_method" in parameters else {"payment_method": intent["payment_method"]}
    method = _method_of(world, given, intent["customer"])
    if method is None:
        raise missing_parameter("payment_method")
    return _confirmed(world, intent, method)


def _confirmed(world: World, intent: Object, method: Object) -> Object:
    if not attempt(world, intent, method):
        raise card_error(intent)
    if world.notes(method["id"]).get("behaves") == "disputed":
        charge = world.find("charge", intent["latest_charge"])
        open_dispute(world, charge, status="needs_response", amount=None, reason="fraudulent")
    return intent


def _method_of(world: World, parameters: dict[str, Any], customer: str | None) -> Object | None:
    if not parameters.get("payment_method"):
        return None
    method = find_method(world, parameters["payment_method"], "payment_method")
    if method["customer"] is not None and method["customer"] != customer:
        raise RefusedError(
            "The provided PaymentMethod belongs to another Customer, or no Customer was named.",
            code="payment_method_unexpected_state",
            param="payment_method",
        )
    return method


def update_intent(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, *_TAKEN)
    intent = world.find("payment_intent", ids[0])
    changes = set_or_none(parameters, *_TAKEN)
    if "metadata" in parameters:
        changes["metadata"] = merged_metadata(intent["metadata"], parameters["metadata"])
    world.change(intent, **changes)
    return intent


def retrieve_intent(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("payment_intent", ids[0])


def request_cancel(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "cancellation_reason")
    return cancel_intent(world, world.find("payment_intent", ids[0]), parameters.get("cancellation_reason"))


def list_intents(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "customer")
    return page_of(world.all_of("payment_intent"), "/v1/payment_intents", parameters, same(parameters, "customer"))


# --- charges ---


def retrieve_charge(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    return world.find("charge", ids[0])


def list_charges(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "customer", "payment_intent")
    return page_of(world.all_of("charge"), "/v1/charges", parameters, same(parameters, "customer", "payment_intent"))


def refunds_of(world: World, charge: Object) -> Object:
    """The list that a charge shows when it is expanded."""
    found = [each for each in world.all_of("refund") if each["charge"] == charge["id"]]
    return list_of(found[:10], f"/v1/charges/{charge['id']}/refunds", has_more=len(found) > 10)
