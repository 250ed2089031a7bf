"""What an object of Stripe's tells of where it belongs: ids alone, for whatever it says is fetched anew."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

MAX_ID_LENGTH: Final = 255
ORDER_KEY: Final = "order_id"
"""Under this name each object that is made for an order carries its id among its metadata."""


class Clues(Struct, frozen=True, kw_only=True):
    """None where nothing was told."""

    order_id: str | None = None
    session_id: str | None = None
    payment_intent_id: str | None = None
    charge_id: str | None = None
    subscription_id: str | None = None
    invoice_id: str | None = None
    customer_id: str | None = None


_OWN_ID: Final = {
    "checkout.session": "session_id",
    "payment_intent": "payment_intent_id",
    "charge": "charge_id",
    "subscription": "subscription_id",
    "invoice": "invoice_id",
    "customer": "customer_id",
}
"""By the kind of the object: which clue its own id is."""


def clues_in(stripe_object: Mapping[str, object]) -> Clues:
    """The clues in the object of an event; whatever else it holds, nothing of it is believed."""
    found = {
        "order_id": _order_id(stripe_object),
        "payment_intent_id": _id(stripe_object.get("payment_intent")),
        "charge_id": _id(stripe_object.get("charge")),
        "subscription_id": _id(stripe_object.get("subscription")) or _subscription_of_invoice(stripe_object),
        "invoice_id": _id(stripe_object.get("invoice")),
        "customer_id": _id(stripe_object.get("customer")),
    }
    own = _OWN_ID.get(str(stripe_object.get("object")))
    return Clues(**(found | ({own: _id(stripe_object.get("id"))} if own is not None else {})))


def _order_id(stripe_object: Mapping[str, object]) -> str | None:
    metadata = stripe_object.get("metadata")
    named = _id(metadata.get(ORDER_KEY)) if isinstance(metadata, Mapping) else None
    return _id(stripe_object.get("client_reference_id")) or named


def _subscription_of_invoice(stripe_object: Mapping[str, object]) -> str | None:
    """Where an invoice has it since 2025: `parent.subscription_details.subscription`."""
    parent = stripe_object.get("parent")
    details = parent.get("subscription_details") if isinstance(parent, Mapping) else None
    return _id(details.get("subscription")) if isinstance(details, Mapping) else None


def _id(value: object) -> str | None:
    """A usable id, of what may be an id or the object itself."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH and "\0" not in value else None
