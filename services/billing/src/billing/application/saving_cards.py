"""Opens a page of Stripe's on which whoever pays saves a card, so that it can be charged while they are away."""

from dataclasses import dataclass

from billing.application.customers import Customers
from billing.application.payment_service import told_to_people
from billing.stripe_api.client import StripeApi
from billing.stripe_api.top_ups import create_card_page


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
            customer_id = await self.customers.customer_of(payer_id, locale=locale)
            return await create_card_page(self.stripe, customer_id, return_url=return_url or self.home, locale=locale)
