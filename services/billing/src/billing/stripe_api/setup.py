"""What is set up at Stripe once: prices with their products, the endpoint that hears events, the portal."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import stripe
from msgspec import Struct

from billing.domain.stripe_setup import (
    CreatePrice,
    Endpoint,
    FoundPortal,
    FoundPrice,
    PriceTerms,
    PutPortal,
    WantedPrice,
    prices_mark,
)
from billing.stripe_api.client import PAGE, StripeApi
from billing.stripe_api.errors import StripeMissingError
from billing.stripe_api.wire import Reference, id_of

API_VERSION: Final = stripe.api_version
"""Of the SDK: in this form it reads events and answers."""
MADE_BY: Final = "solaris"
"""In the metadata of what is set up, so that it is found again."""
KEYS_A_REQUEST: Final = 10
"""Lookup keys that Stripe takes at once."""


class Account(Struct, frozen=True):
    """Whose key it is; `capabilities` by name, with Stripe's word for each."""

    id: str
    charges_enabled: bool = False
    country: str | None = None
    capabilities: dict[str, str | None] = {}

    def brazilian_methods(self) -> list[tuple[str, str]]:
        """Pix and boleto with their states, of an account that can have them."""
        if self.country != "BR":
            return []
        return [(name, self.capabilities.get(f"{name}_payments") or "not asked for") for name in ("pix", "boleto")]


class _Endpoint(Struct):
    id: str
    url: str
    enabled_events: list[str]
    status: str
    api_version: str | None = None
    secret: str | None = None


class _Recurring(Struct):
    interval: str
    interval_count: int = 1


class _Price(Struct):
    id: str
    active: bool
    currency: str
    product: Reference | str
    unit_amount: int | None = None
    lookup_key: str | None = None
    recurring: _Recurring | None = None

    def found(self) -> FoundPrice:
        terms = PriceTerms(
            product_id=id_of(self.product) or "",
            amount_minor=self.unit_amount or 0,
            currency=self.currency,
            is_monthly=self.recurring == _Recurring(interval="month"),
        )
        return FoundPrice(price_id=self.id, lookup_key=self.lookup_key, is_active=self.active, terms=terms)


class _Portal(Struct):
    id: str
    metadata: dict[str, str] | None = None


async def fetch_account(api: StripeApi) -> Account:
    """The account of the key; raises StripeError, as all of these."""
    return await api.call(api.v1.accounts.retrieve_current_async(), Account)


async def fetch_endpoints(api: StripeApi) -> list[Endpoint]:
    """All endpoints of this mode."""
    found = await api.call_list(api.v1.webhook_endpoints.list_async({"limit": PAGE}), _Endpoint)
    return [
        Endpoint(
            endpoint_id=each.id,
            url=each.url,
            events=frozenset(each.enabled_events),
            api_version=each.api_version,
            is_enabled=each.status == "enabled",
        )
        for each in found
    ]


async def create_endpoint(api: StripeApi, url: str, events: Sequence[str]) -> tuple[str, str]:
    """Returns its id, and the secret that it signs with, which Stripe tells this one time."""
    wanted: Any = sorted(events)  # Stripe's own type has every word that it knows
    version: Any = API_VERSION
    request = api.v1.webhook_endpoints.create_async(
        {
            "url": url,
            "enabled_events": wanted,
            "api_version": version,
            "description": "Solaris billing",
            "metadata": {"made_by": MADE_BY},
        }
    )
    made = await api.call(request, _Endpoint)
    return made.id, made.secret or ""


async def update_endpoint(api: StripeApi, endpoint_id: str, events: Sequence[str]) -> None:
    """Enable it, and have it hear these."""
    wanted: Any = sorted(events)  # as above
    await api.call(
        api.v1.webhook_endpoints.update_async(endpoint_id, {"enabled_events": wanted, "disabled": False}), _Endpoint
    )


async def fetch_prices(api: StripeApi, lookup_keys: Sequence[str]) -> list[FoundPrice]:
    """Those that have one of the keys."""
    found: list[FoundPrice] = []
    for at in range(0, len(lookup_keys), KEYS_A_REQUEST):
        keys = [*lookup_keys[at : at + KEYS_A_REQUEST]]
        request = api.v1.prices.list_async({"lookup_keys": keys, "limit": PAGE})
        found += [price.found() for price in await api.call_list(request, _Price)]
    return found


async def fetch_price(api: StripeApi, price_id: str) -> FoundPrice | None:
    """The price of that id."""
    try:
        return (await api.call(api.v1.prices.retrieve_async(price_id), _Price)).found()
    except StripeMissingError:
        return None


async def create_price(api: StripeApi, step: CreatePrice) -> str:
    """Make the price, and its product where it is not there; whoever had the lookup key gives it up. Returns its id."""
    await _ensure_product(api, step.price)
    terms = step.price.terms
    params: stripe.params.PriceCreateParams = {
        "product": terms.product_id,
        "unit_amount": terms.amount_minor,
        "currency": terms.currency,
        "lookup_key": step.price.lookup_key,
        "transfer_lookup_key": True,
        "metadata": {"made_by": MADE_BY},
    }
    if terms.is_monthly:
        params["recurring"] = {"interval": "month"}
    return (await api.call(api.v1.prices.create_async(params), _Price)).id


async def _ensure_product(api: StripeApi, price: WantedPrice) -> None:
    try:
        await api.call(api.v1.products.retrieve_async(price.terms.product_id), Reference)
    except StripeMissingError:
        request = api.v1.products.create_async(
            {"id": price.terms.product_id, "name": price.product_name, "metadata": {"made_by": MADE_BY}}
        )
        await api.call(request, Reference)


async def find_portal(api: StripeApi) -> FoundPortal | None:
    """The active configuration of the portal that was made here."""
    request = api.v1.billing_portal.configurations.list_async({"active": True, "limit": PAGE})
    for each in await api.call_list(request, _Portal):
        if (metadata := each.metadata or {}).get("made_by") == MADE_BY:
            return FoundPortal(portal_id=each.id, prices=metadata.get("prices", ""))
    return None


async def put_portal(api: StripeApi, step: PutPortal, prices: Sequence[FoundPrice], home: str) -> str:
    """Make the configuration, or put it right; `home` is where people go back to. Returns its id.

    A higher plan is paid and given at once, a lower one comes at the period's end.
    """
    products: dict[str, list[str]] = defaultdict(list)
    for price in prices:
        if price.terms.is_monthly:
            products[price.terms.product_id].append(price.price_id)
    params: Any = {  # the same for both of Stripe's types
        "default_return_url": home,
        "features": {
            "invoice_history": {"enabled": True},
            "payment_method_update": {"enabled": True},
            "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
            "subscription_update": {
                "enabled": bool(products),
                "default_allowed_updates": ["price"] if products else [],
                "products": [{"product": product, "prices": ids} for product, ids in sorted(products.items())],
                "proration_behavior": "always_invoice",
                "schedule_at_period_end": {"conditions": [{"type": "decreasing_item_amount"}]},
            },
        },
        "metadata": {"made_by": MADE_BY, "prices": prices_mark(prices)},
    }
    configurations = api.v1.billing_portal.configurations
    if step.portal_id is None:
        return (await api.call(configurations.create_async(params), _Portal)).id
    return (await api.call(configurations.update_async(step.portal_id, params), _Portal)).id
