"""Customers and the cards that they have saved."""

from typing import Any, Final

from local_run.demo_stripe.objects.subscriptions import LIVING, end_subscription
from local_run.demo_stripe.wire.errors import no_such
from local_run.demo_stripe.wire.lists import page_of, same
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.wire.understood import merged_metadata, set_or_none, understood
from local_run.demo_stripe.world.world import World

_TAKEN: Final = ("email", "name", "phone", "description", "preferred_locales", "address", "tax_exempt")


def create_customer(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, *_TAKEN, "invoice_settings", "payment_method")
    customer = new_customer(
        world, **set_or_none(parameters, *_TAKEN), metadata=merged_metadata({}, parameters.get("metadata"))
    )
    _settle_defaults(world, customer, parameters)
    if "payment_method" in parameters:
        attach(world, world.find("payment_method", parameters["payment_method"], "payment_method"), customer)
    world.emit("customer.created", customer)
    return customer


def new_customer(world: World, **values: Any) -> Object:
    settings = {"custom_fields": None, "default_payment_method": None, "footer": None, "rendering_options": None}
    return world.create(
        "customer",
        "cus",
        **{
            "balance": 0,
            "invoice_prefix": world.new_id("x", 8)[2:].upper(),
            "invoice_settings": settings,
            "metadata": {},
            "next_invoice_sequence": 1,
            "preferred_locales": [],
            "tax_exempt": "none",
            "delinquent": False,
            **values,
        },
    )


def update_customer(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, *_TAKEN, "invoice_settings")
    customer = world.find("customer", ids[0])
    changes = set_or_none(parameters, *_TAKEN)
    if "metadata" in parameters:
        changes["metadata"] = merged_metadata(customer["metadata"], parameters["metadata"])
    before = world.change(customer, **changes)
    _settle_defaults(world, customer, parameters)
    world.emit("customer.updated", customer, before)
    return customer


def _settle_defaults(world: World, customer: Object, parameters: dict[str, Any]) -> None:
    settings = parameters.get("invoice_settings", {})
    understood(settings, "default_payment_method")
    if "default_payment_method" in settings:
        method = settings["default_payment_method"] or None
        if method is not None:
            world.find("payment_method", method, "invoice_settings[default_payment_method]")
        world.change(customer, invoice_settings={**customer["invoice_settings"], "default_payment_method": method})


def retrieve_customer(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    if world.notes(ids[0]).get("deleted"):
        return {"id": ids[0], "object": "customer", "deleted": True}
    return world.find("customer", ids[0])


def delete_customer(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    """Its subscriptions end with it."""
    customer = world.find("customer", ids[0])
    for subscription in [*world.all_of("subscription")]:
        if subscription["customer"] == customer["id"] and subscription["status"] in LIVING:
            end_subscription(world, subscription, "cancellation_requested")
    world.remove(customer)
    world.note(customer["id"], deleted=True)
    world.emit("customer.deleted", customer)
    return {"id": customer["id"], "object": "customer", "deleted": True}


def list_customers(world: World, _: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "email")
    return page_of(world.all_of("customer"), "/v1/customers", parameters, same(parameters, "email"))


# --- payment methods ---

TEST_CARDS: Final = {
    "pm_card_visa": "ok",
    "pm_card_chargeCustomerFail": "declined",
    "pm_card_authenticationRequired": "authentication_required",
    "pm_card_createDispute": "disputed",
}
"""Names that Stripe's test mode knows, and how their payments end."""
_CARD: Final = {
    "brand": "visa",
    "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
    "country": "BR",
    "display_brand": "visa",
    "exp_month": 12,
    "exp_year": 2034,
    "fingerprint": "demodemodemodemo",
    "funding": "credit",
    "generated_from": None,
    "last4": "4242",
    "networks": {"available": ["visa"], "preferred": None},
    "regulated_status": "unregulated",
    "three_d_secure_usage": {"supported": True},
    "wallet": None,
}
"""Stripe's test card."""
_DETAILS: Final[dict[str, Object]] = {
    "card": _CARD,
    "pix": {"fingerprint": None},
    "boleto": {"tax_id": "000.000.000-00"},
}


def new_method(world: World, kind: str, *, email: str | None, name: str | None = None) -> Object:
    """What somebody pays with: `card`, `pix` or `boleto`."""
    address = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}
    billing = {"address": address, "email": email, "name": name, "phone": None, "tax_id": None}
    return world.create(
        "payment_method",
        "pm",
        allow_redisplay="limited",
        billing_details=billing,
        metadata={},
        type=kind,
        **{kind: dict(_DETAILS[kind])},
    )


def attach(world: World, method: Object, customer: Object) -> None:
    if method["customer"] != customer["id"]:
        world.change(method, customer=customer["id"])
        world.emit("payment_method.attached", method)


def attach_method(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    understood(parameters, "customer")
    method = find_method(world, ids[0])
    attach(world, method, world.find("customer", parameters["customer"], "customer"))
    return method


def detach_method(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    method = world.find("payment_method", ids[0])
    before = world.change(method, customer=None)
    world.emit("payment_method.detached", method, before)
    return method


def retrieve_method(world: World, ids: list[str], _: dict[str, Any]) -> Object:
    method = world.find("payment_method", ids[-1])
    if len(ids) == 2 and method["customer"] != ids[0]:
        raise no_such("payment method", ids[-1])
    return method


def list_methods(world: World, ids: list[str], parameters: dict[str, Any]) -> Object:
    """Of the customer that the path or the parameter names."""
    understood(parameters, "customer", "type")
    wanted = {**parameters, "customer": ids[0]} if ids else parameters
    url = f"/v1/customers/{ids[0]}/payment_methods" if ids else "/v1/payment_methods"
    world.find("customer", wanted.get("customer", ""), None if ids else "customer")
    return page_of(world.all_of("payment_method"), url, parameters, same(wanted, "customer", "type"))


def find_method(world: World, identifier: str, param: str | None = None) -> Object:
    """The payment method of that id; a new one for a name of Stripe's own test cards (`pm_card_visa`)."""
    behaviour = TEST_CARDS.get(identifier)
    if behaviour is None:
        return world.find("payment_method", identifier, param)
    method = new_method(world, "card", email=None)
    world.note(method["id"], behaves=behaviour)
    return method
