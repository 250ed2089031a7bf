"""Checkout Sessions: shown once an order, of a package or of a plan every month; looked at, ended before their time."""

from datetime import datetime
from typing import Final, Literal

from msgspec import Struct, structs
from stripe.params.checkout import (
    SessionCreateParams,
    SessionCreateParamsLineItem,
    SessionCreateParamsLineItemPriceData,
)

from billing.domain.clues import ORDER_KEY
from billing.domain.facts import PaymentFacts, SessionFacts
from billing.domain.plan_prices import product_of
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeMissingError, StripeRefusedError
from billing.stripe_api.wire import Reference, Session, stripe_locale

_ONCE_IN_BRAZIL: Final[list[Literal["card", "pix", "boleto"]]] = ["card", "pix", "boleto"]
"""Pix and boleto are of Brazil, in its own currency; all else is paid by card."""
_MONTHLY_IN_BRAZIL: Final[list[Literal["card", "pix", "boleto"]]] = ["card", "boleto"]
"""A Pix is paid once."""
_ELSEWHERE: Final[list[Literal["card", "pix", "boleto"]]] = ["card"]
_ALREADY_THERE: Final = "resource_already_exists"


class CheckoutRequest(Struct, frozen=True, kw_only=True):
    """One thing that is bought: once, or each month where it is a `plan`. The same under the same key is one Checkout.

    `name` is what the person reads; `stripe_price` a price set up at Stripe, where there is one. `order_url` is where
    the person comes back to, however it ends.
    """

    order_id: str
    account_id: str
    customer_id: str
    plan: str | None
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
    try:
        return await _create(api, wanted)
    except StripeMissingError as error:
        if wanted.plan is None or not (error.parameter or "").endswith("[product]"):
            raise
    # Nobody has bought the plan before. What Stripe refused it may refuse again under the same key.
    await _make_product(api, wanted.plan, wanted.name)
    return await _create(api, structs.replace(wanted, idempotency_key=f"{wanted.idempotency_key}:product"))


async def _create(api: StripeApi, wanted: CheckoutRequest) -> SessionFacts:
    metadata = {ORDER_KEY: wanted.order_id, "account_id": wanted.account_id}
    is_brazilian = wanted.currency == "brl"
    params: SessionCreateParams = {
        "customer": wanted.customer_id,
        "client_reference_id": wanted.order_id,
        "metadata": metadata,
        "line_items": [_line_item(wanted)],
        "allow_promotion_codes": True,
        # The amount is compared with the order's: nobody converts it on the way.
        "adaptive_pricing": {"enabled": False},
        "locale": stripe_locale(wanted.locale),
        "success_url": wanted.order_url,
        "cancel_url": wanted.order_url,
        "expires_at": int(wanted.expires_at.timestamp()),
    }
    if wanted.plan is None:
        params["mode"] = "payment"
        params["allowed_payment_method_types"] = [*(_ONCE_IN_BRAZIL if is_brazilian else _ELSEWHERE)]
        params["payment_intent_data"] = {"metadata": metadata}
        params["invoice_creation"] = {"enabled": True, "invoice_data": {"metadata": metadata}}
    else:
        params["mode"] = "subscription"
        params["allowed_payment_method_types"] = [*(_MONTHLY_IN_BRAZIL if is_brazilian else _ELSEWHERE)]
        params["subscription_data"] = {"metadata": metadata}
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
    price: SessionCreateParamsLineItemPriceData = {"currency": wanted.currency, "unit_amount": wanted.amount_minor}
    if wanted.plan is None:
        price["product_data"] = {"name": wanted.name}
    else:
        price["recurring"] = {"interval": "month"}
        # By its product a price is known as the plan's for as long as the subscription lives.
        price["product"] = product_of(wanted.plan)
    return {"quantity": 1, "price_data": price}


async def _make_product(api: StripeApi, plan: str, name: str) -> None:
    try:
        await api.call(api.v1.products.create_async({"id": product_of(plan), "name": name}), Reference)
    except StripeRefusedError as error:
        if error.code != _ALREADY_THERE:
            raise
