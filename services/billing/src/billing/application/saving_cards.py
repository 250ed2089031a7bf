"""Opens a page of Stripe's on which whoever pays saves a card, so that it can be charged while they are away."""

from dataclasses import dataclass
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.customers import Customers
from billing.application.payment_service import told_to_people
from billing.store.customers import load_customer
from billing.stripe_api.client import StripeApi
from billing.stripe_api.top_ups import create_card_page, newest_card


async def has_card(engine: AsyncEngine, stripe: StripeApi, payer_id: str, *, livemode: bool) -> bool:
    """Whether a card of theirs can be charged while they are away. Raises StripeError."""
    customer_id = await load_customer(engine, payer_id, livemode=livemode)
    return customer_id is not None and await newest_card(stripe, customer_id) is not None


@dataclass(frozen=True, kw_only=True)
class SavingCards:
    """Their person agrees there, before Stripe; `home` is where they come back to, where no other place is named."""

    stripe: StripeApi
    customers: Customers
    home: str

    async def open(self, payer_id: str, *, return_url: str | None, locale: str) -> str:
        """The address of the page.

        Raises:
            PaymentServiceError, PaymentRefusedError: Stripe does not answer, or does not take it.
        """
        with told_to_people("The payment service opens no page.", payer_id=payer_id):
            show = partial(create_card_page, self.stripe, return_url=return_url or self.home, locale=locale)
            return await self.customers.with_customer(payer_id, show, locale=locale)
