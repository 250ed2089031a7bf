"""Objects in the shapes of the SDK's classes: completed when they are made, checked before they are sent."""

from functools import cache
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

import stripe
from stripe import StripeObject

from local_run.demo_stripe.wire.sdk_types import fields_of, is_fields_class, literals, may_be_none, members

type Object = dict[str, Any]
"""One of Stripe's objects as JSON has it; Any, as its fields are of many types."""

CLASSES: Final[dict[str, type]] = {
    "account": stripe.Account,
    "billing_portal.configuration": stripe.billing_portal.Configuration,
    "billing_portal.session": stripe.billing_portal.Session,
    "charge": stripe.Charge,
    "checkout.session": stripe.checkout.Session,
    "coupon": stripe.Coupon,
    "customer": stripe.Customer,
    "discount": stripe.Discount,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "invoice": stripe.Invoice,
    "invoice_payment": stripe.InvoicePayment,
    "invoiceitem": stripe.InvoiceItem,
    "item": stripe.LineItem,
    "line_item": stripe.InvoiceLineItem,
    "payment_intent": stripe.PaymentIntent,
    "payment_method": stripe.PaymentMethod,
    "plan": stripe.Plan,
    "price": stripe.Price,
    "product": stripe.Product,
    "promotion_code": stripe.PromotionCode,
    "radar.early_fraud_warning": stripe.radar.EarlyFraudWarning,
    "refund": stripe.Refund,
    "setup_intent": stripe.SetupIntent,
    "subscription": stripe.Subscription,
    "subscription_item": stripe.SubscriptionItem,
    "test_helpers.test_clock": stripe.test_helpers.TestClock,
    "webhook_endpoint": stripe.WebhookEndpoint,
}
_LEFT_OUT: Final[dict[str, frozenset[str]]] = {
    "charge": frozenset(
        {"authorization_code", "level3", "presentment_details", "radar_options", "refunds", "source", "transfer"}
    ),
    "checkout.session": frozenset(
        {"excluded_payment_method_types", "line_items", "name_collection", "presentment_details"}
        | {"redirect_on_completion", "return_url", "tax_id_collection", "branding_settings"}
    ),
    "customer": frozenset(
        {"business_name", "cash_balance", "individual_name", "invoice_credit_balance", "sources", "subscriptions"}
        | {"tax", "tax_ids", "deleted"}
    ),
    "dispute": frozenset({"payment_method_details"}),
    "event": frozenset({"account", "context"}),
    "invoice": frozenset({"deleted", "payments", "status_details", "threshold_reason"}),
    "invoiceitem": frozenset({"deleted", "frozen_fields", "invoicing_rules", "net_amount", "proration_details"}),
    "item": frozenset({"discounts", "taxes", "adjustable_quantity"}),
    "payment_intent": frozenset({"amount_details", "hooks", "payment_details", "presentment_details"}),
    "payment_method": frozenset(
        name for name in fields_of(stripe.PaymentMethod) if name not in {"customer", "customer_account"}
    ),
    "plan": frozenset({"deleted", "tiers"}),
    "price": frozenset({"currency_options", "tiers", "deleted"}),
    "product": frozenset({"deleted"}),
    "coupon": frozenset({"applies_to", "currency_options", "deleted"}),
    "refund": frozenset(
        {"description", "destination_details", "failure_balance_transaction", "failure_reason", "instructions_email"}
        | {"next_action", "pending_reason", "presentment_details"}
    ),
    "setup_intent": frozenset({"attach_to_self"}),
    "subscription": frozenset({"presentment_details"}),
    "subscription_item": frozenset({"billed_until", "deleted"}),
    "test_helpers.test_clock": frozenset({"deleted"}),
    "webhook_endpoint": frozenset({"deleted", "secret"}),
}
"""What Stripe leaves out of an object where it does not apply, or until it is asked to expand it."""


_FILLED: Final[dict[str, tuple[str, ...]]] = {
    "billing_portal.configuration": ("business_profile", "login_page"),
    "checkout.session": ("automatic_tax", "custom_text"),
    "dispute": ("evidence",),
    "invoice": ("automatic_tax", "status_transitions"),
    "invoice_payment": ("status_transitions",),
    "subscription": ("automatic_tax", "cancellation_details", "invoice_settings"),
}
"""Parts of objects in which Stripe shows null for what has no value; in all others it leaves that out."""


def make(kind: str, **values: Any) -> Object:
    """An object of that kind with all that its class names: what may be null and is not given is null.

    Raises:
        TypeError: it is not as the SDK's classes say: an error of the demo.
    """
    made: Object = {**_blank(CLASSES[kind], kind), "object": kind, **values}
    for name in _FILLED.get(kind, ()):
        made[name] = {**_blank(_part_of(CLASSES[kind], name), ""), **made[name]}
    if problems := _differences(CLASSES[kind], made, kind):
        raise TypeError("; ".join(problems))
    return made


def problems_of(thing: object) -> list[str]:
    """How an object, or a list of objects, differs from the SDK's classes; nothing where it does not."""
    if isinstance(thing, dict) and thing.get("object") in ("list", "search_result"):
        return [problem for each in thing["data"] for problem in problems_of(each)]
    if isinstance(thing, dict) and thing.get("deleted") is True:
        return [] if set(thing) == {"id", "object", "deleted"} else [f"a deleted object says {sorted(thing)}"]
    if not isinstance(thing, dict) or thing.get("object") not in CLASSES:
        return [f"no object of the SDK: {str(thing)[:100]}"]
    return _differences(CLASSES[thing["object"]], thing, thing["object"])


@cache
def _part_of(object_type: type, name: str) -> type:
    found: type = next(each for each in members(fields_of(object_type)[name]) if is_fields_class(each))
    return found


@cache
def _blank(object_type: type, kind: str) -> dict[str, None]:
    left_out = _LEFT_OUT.get(kind, frozenset())
    nullable = {name: at for name, at in fields_of(object_type).items() if may_be_none(at) and name not in left_out}
    # A map of objects is left out as well: the SDK cannot read a null there.
    return {name: None for name, at in nullable.items() if not any(_is_map_of_objects(each) for each in members(at))}


def _is_map_of_objects(annotation: Any) -> bool:
    return get_origin(annotation) not in (None, list) and any(is_fields_class(each) for each in get_args(annotation))


def _differences(object_type: type, thing: Object, path: str) -> list[str]:
    fields = fields_of(object_type)
    found = [f"{path}.{name} is unknown" for name in thing if name not in fields]
    for name, annotation in fields.items():
        if name in thing:
            found += _mismatch(annotation, thing[name], f"{path}.{name}")
        elif not may_be_none(annotation):
            found.append(f"{path}.{name} is missing")
    return found


def _mismatch(annotation: Any, value: Any, path: str) -> list[str]:
    if annotation is Any:
        return []
    if value is None:
        return [] if may_be_none(annotation) else [f"{path} is null"]
    tried = [_mismatch_one(each, value, path) for each in members(annotation) if each is not NoneType]
    allowed = literals(annotation)
    if isinstance(value, str) and any(allowed) and value not in allowed and get_origin(annotation) is not Literal:
        return [f"{path} says {value!r}, which the SDK does not know"]
    return min(tried, key=len) if all(tried) else []


def _mismatch_one(kind: Any, value: Any, path: str) -> list[str]:
    origin = get_origin(kind)
    wrong = [f"{path} is {type(value).__name__}"]
    if origin is Literal:
        return [] if value in get_args(kind) else [f"{path} says {value!r}, which the SDK does not know"]
    if origin is list:
        inner = get_args(kind)[0]
        return _all(inner, list(enumerate(value)), path) if isinstance(value, list) else wrong
    if origin is dict:
        return _all(get_args(kind)[1], list(value.items()), path) if isinstance(value, dict) else wrong
    if isinstance(origin, type) and issubclass(origin, StripeObject):
        return _mismatch_generic(origin, get_args(kind)[0], value, path) if isinstance(value, dict) else wrong
    if isinstance(kind, type) and issubclass(kind, StripeObject):
        return _differences(kind, value, path) if isinstance(value, dict) else wrong
    if kind is bool or isinstance(value, bool):
        return [] if kind is bool and isinstance(value, bool) else wrong
    if kind.__name__ == "Decimal":  # on the wire a text
        return [] if isinstance(value, str) else wrong
    return [] if isinstance(value, kind) else wrong


def _mismatch_generic(origin: type, inner: Any, value: Object, path: str) -> list[str]:
    if origin is stripe.ListObject:
        if not {"object", "data", "has_more", "url"} <= value.keys():
            return [f"{path} is no list"]
        return _all(inner, list(enumerate(value["data"])), path)
    return _all(inner, list(value.items()), path)


def _all(inner: Any, values: list[tuple[Any, Any]], path: str) -> list[str]:
    return [problem for name, each in values for problem in _mismatch(inner, each, f"{path}[{name}]")]
