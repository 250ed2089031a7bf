"""Stripe's customers, who pay."""

from billing.stripe_api.client import StripeApi
from billing.stripe_api.wire import Reference


async def create_customer(api: StripeApi, payer_id: str, *, locale: str, idempotency_key: str) -> str:
    """The id of a customer, made once a key; it gets its address from whoever pays. Raises StripeError."""
    request = api.v1.customers.create_async(
        {"metadata": {"account_id": payer_id}, "preferred_locales": [locale]}, {"idempotency_key": idempotency_key}
    )
    return (await api.call(request, Reference)).id
