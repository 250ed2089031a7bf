"""Checkout Sessions of subscriptions: a plan every month, by card, in Brazil by boleto too."""

from typing import Final, Literal

from stripe.params.checkout import SessionCreateParams, SessionCreateParamsLineItem

from billing.domain.clues import ORDER_KEY
from billing.domain.facts import SessionFacts
from billing.domain.plan_prices import product_of
from billing.stripe_api.checkout import CheckoutRequest
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeRefusedError
from billing.stripe_api.wire import Reference, Session

_METHODS: Final[dict[str, list[Literal["card", "boleto"]]]] = {"brl": ["card", "boleto"]}
"""By currency; elsewhere by card. A Pix is paid once."""
_CARD: Final[list[Literal["card", "boleto"]]] = ["card"]
_ALREADY_THERE: Final = "resource_already_exists"


async def create_plan_checkout(api: StripeApi, wanted: CheckoutRequest, plan: str) -> SessionFacts:
    """Have Stripe show a Checkout of a subscription to the plan; raises StripeError."""
    metadata = {ORDER_KEY: wanted.order_id, "account_id": wanted.account_id}
    params: SessionCreateParams = {
        "mode": "subscription",
        "customer": wanted.customer_id,
        "client_reference_id": wanted.order_id,
        "metadata": metadata,
        "subscription_data": {"metadata": metadata},
        "line_items": [await _line_item(api, wanted, plan)],
        "allowed_payment_method_types": [*_METHODS.get(wanted.currency, _CARD)],
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


async def _line_item(api: StripeApi, wanted: CheckoutRequest, plan: str) -> SessionCreateParamsLineItem:
    if wanted.stripe_price is not None:
        return {"price": wanted.stripe_price, "quantity": 1}
    await _make_product(api, plan, wanted.name)
    return {
        "quantity": 1,
        "price_data": {
            "currency": wanted.currency,
            "unit_amount": wanted.amount_minor,
            "recurring": {"interval": "month"},
            # By its product a price is known as the plan's for as long as the subscription lives.
            "product": product_of(plan),
        },
    }


async def _make_product(api: StripeApi, plan: str, name: str) -> None:
    try:
        await api.call(api.v1.products.create_async({"id": product_of(plan), "name": name}), Reference)
    except StripeRefusedError as error:
        if error.code != _ALREADY_THERE:
            raise
