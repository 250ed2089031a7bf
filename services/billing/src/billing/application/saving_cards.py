"""Opens a page of Stripe's on which whoever pays saves a card, so that it can be charged while they are away."""

from dataclasses import dataclass

import structlog

from billing.application.customers import Customers
from billing.application.errors import PaymentRefusedError, PaymentServiceError
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeError, StripeUnavailableError
from billing.stripe_api.top_ups import create_card_page

log = structlog.get_logger()


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
        try:
            customer_id = await self.customers.customer_of(payer_id, locale=locale)
            return await create_card_page(self.stripe, customer_id, return_url=return_url or self.home, locale=locale)
        except StripeUnavailableError as error:
            raise PaymentServiceError("The payment service does not answer; try again in a moment.") from error
        except StripeError as error:
            log.error("card_page_refused", error=str(error))  # noqa: TRY400  Stripe's words are all
            raise PaymentRefusedError("The payment service opens no page.") from error
