"""Checkout Sessions of one-time purchases: made once an order, looked at, ended before their time."""

from datetime import datetime
from typing import Final, Literal

from msgspec import Struct
from stripe.params.checkout import SessionCreateParams, SessionCreateParamsLineItem

from billing.domain.clues import ORDER_KEY
from billing.domain.facts import PaymentFacts, SessionFacts
from billing.stripe_api.client import StripeApi
from billing.stripe_api.wire import Reference, Session

_METHODS: Final[dict[str, list[Literal["card", "pix", "boleto"]]]] = {"brl": ["card", "pix", "boleto"]}
"""By currency; elsewhere by card. Pix and boleto are of Brazil, in its own currency."""
_CARD: Final[list[Literal["card", "pix", "boleto"]]] = ["card"]


class CheckoutRequest(Struct, frozen=True, kw_only=True):
    """One thing that is bought once. The same request under the same key is the same Checkout.

    `name` is what the person reads; `stripe_price` a price set up at Stripe, where there is one. `order_url` is where
    the person comes back to, however it ends.
    """

    order_id: str
    account_id: str
    customer_id: str
    name: str
    amount_minor: int
    currency: str
    stripe_price: str | None
    locale: str
    order_url: str
    expires_at: datetime
    idempotency_key: str


async def create_checkout(api: StripeApi, wanted: CheckoutRequest) -> SessionFacts:
    """Have Stripe show a Checkout; raises StripeError."""
    metadata = {ORDER_KEY: wanted.order_id, "account_id": wanted.account_id}
    params: SessionCreateParams = {
        "mode": "payment",
        "customer": wanted.customer_id,
        "client_reference_id": wanted.order_id,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "line_items": [_line_item(wanted)],
        "allowed_payment_method_types": [*_METHODS.get(wanted.currency, _CARD)],
        "invoice_creation": {"enabled": True, "invoice_data": {"metadata": metadata}},
        "allow_promotion_codes": True,
        # The amount is compared with the order's: nobody converts it on the way.
        "adaptive_pricing": {"enabled": False},
        "locale": "pt-BR" if wanted.locale.startswith("pt") else "en",
        "success_url": wanted.order_url,
        "cancel_url": wanted.order_url,
        "expires_at": int(wanted.expires_at.timestamp()),
    }
    request = api.v1.checkout.sessions.create_async(params, {"idempotency_key": wanted.idempotency_key})
    return (await api.call(request, Session)).facts()


async def fetch_checkout(api: StripeApi, session_id: str) -> tuple[SessionFacts, PaymentFacts | None]:
    """The Checkout as it is now, with its payment where one was begun; raises StripeError."""
    expand = ["payment_intent.latest_charge", "subscription", "invoice"]
    request = api.v1.checkout.sessions.retrieve_async(session_id, {"expand": expand})
    session = await api.call(request, Session)
    return session.facts(), session.payment()


async def find_checkout(api: StripeApi, payment_intent_id: str) -> str | None:
    """The Checkout that the payment was made at; None where it was at none. Raises StripeError."""
    request = api.v1.checkout.sessions.list_async({"payment_intent": payment_intent_id, "limit": 1})
    found = await api.call_list(request, Reference)
    return found[0].id if found else None


async def expire_checkout(api: StripeApi, session_id: str) -> None:
    """End a Checkout that is open, so that it can't be paid any more; raises StripeError, as where it is not open."""
    await api.call(api.v1.checkout.sessions.expire_async(session_id), Session)


def _line_item(wanted: CheckoutRequest) -> SessionCreateParamsLineItem:
    if wanted.stripe_price is not None:
        return {"price": wanted.stripe_price, "quantity": 1}
    return {
        "quantity": 1,
        "price_data": {
            "currency": wanted.currency,
            "unit_amount": wanted.amount_minor,
            "product_data": {"name": wanted.name},
        },
    }
