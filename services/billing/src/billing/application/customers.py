"""One of Stripe's customers for each payer, made when it first pays; one for each order that a guest pays."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.store.customers import forget_customer, keep_customer, load_customer
from billing.stripe_api.client import StripeApi
from billing.stripe_api.customers import create_customer
from billing.stripe_api.errors import StripeMissingError

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Customers:
    """Of one Stripe account in one mode."""

    engine: AsyncEngine
    stripe: StripeApi
    livemode: bool

    async def customer_of(self, payer_id: str, *, locale: str) -> str:
        """The payer's customer; two that ask at once get the same one. Raises StripeError."""
        known = await load_customer(self.engine, payer_id, livemode=self.livemode)
        if known is not None:
            return known
        # Another language is another request, which the key of the first would refuse.
        key = f"customer:{payer_id}:{locale}"
        made = await create_customer(self.stripe, payer_id, locale=locale, idempotency_key=key)
        return await keep_customer(self.engine, payer_id, made, livemode=self.livemode)

    async def guest_of(self, order_id: str, account_id: str, *, locale: str) -> str:
        """A customer for this order alone: a Checkout shows whoever opens it its customer's address. StripeError."""
        key = f"customer:guest:{order_id}"
        return await create_customer(self.stripe, account_id, locale=locale, idempotency_key=key)

    async def with_customer[Done](self, payer_id: str, do: Callable[[str], Awaitable[Done]], *, locale: str) -> Done:
        """Do what needs the payer's customer, and where it was deleted at Stripe, with another one. StripeError."""
        known = await self.customer_of(payer_id, locale=locale)
        try:
            return await do(known)
        except StripeMissingError as error:
            if not error.lacks_customer:
                raise
        return await do(await self.replace(payer_id, known, locale=locale))

    async def replace(self, payer_id: str, customer_id: str, *, locale: str) -> str:
        """Another customer instead of one that was deleted at Stripe. Raises StripeError."""
        log.warning("customer_was_deleted", customer_id=customer_id)
        await forget_customer(self.engine, customer_id)
        key = f"customer:{payer_id}:{locale}:after:{customer_id}"
        made = await create_customer(self.stripe, payer_id, locale=locale, idempotency_key=key)
        return await keep_customer(self.engine, payer_id, made, livemode=self.livemode)
