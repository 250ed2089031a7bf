"""Opens Stripe's pages on which whoever pays finds invoices and receipts, and changes card, plan or subscription."""

import contextlib
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.errors import UnknownCustomerError
from billing.application.payment_service import told_to_people
from billing.store.customers import load_customer
from billing.store.subscriptions import find_giving
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeMissingError, StripeRefusedError
from billing.stripe_api.setup import find_portal
from billing.stripe_api.subscriptions import create_portal

log = structlog.get_logger()


@dataclass
class _Configured:
    """The portal's settings at Stripe; as long as none are known, they are looked for."""

    portal_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Portal:
    """Of one Stripe account in one mode; `home` is where people come back to, where no other place is named."""

    engine: AsyncEngine
    stripe: StripeApi
    livemode: bool
    home: str
    _configured: _Configured = field(default_factory=_Configured, init=False)

    async def open(self, payer_id: str, *, return_url: str | None, locale: str, who: str) -> str:
        """The address of the pages; it works for some minutes, for whoever has it.

        Raises:
            UnknownCustomerError: they pay no plan, and have paid nothing but with purchase links.
            PaymentServiceError, PaymentRefusedError: Stripe does not answer, or has no portal set up.
        """
        customer_id = await self._customer_of(payer_id)
        url = None
        with told_to_people("The payment service opens no portal.", payer_id=payer_id):
            if customer_id is not None:
                url = await self._open_if_there(customer_id, return_url or self.home, locale)
        if url is None:
            raise UnknownCustomerError("The payment service keeps nothing of this account's.")
        log.info("portal_opened", payer_id=payer_id, by=who)
        return url

    async def _open_if_there(self, customer_id: str, return_url: str, locale: str) -> str | None:
        try:
            return await self.open_of_customer(customer_id, return_url, locale)
        except StripeMissingError as error:
            if error.lacks_customer:
                return None
            raise

    async def open_of_customer(self, customer_id: str, return_url: str, locale: str) -> str:
        """With the settings that were found last; where it is refused, others are sought. Raises StripeError."""
        if (known := self._configured.portal_id) is not None:
            with contextlib.suppress(StripeRefusedError):
                return await create_portal(
                    self.stripe, customer_id, return_url=return_url, locale=locale, configuration=known
                )
        configured = await find_portal(self.stripe)
        found = self._configured.portal_id = None if configured is None else configured.portal_id
        return await create_portal(self.stripe, customer_id, return_url=return_url, locale=locale, configuration=found)

    async def _customer_of(self, payer_id: str) -> str | None:
        """Who pays the plan, as that is what can be changed there; else who pays what services have begun."""
        giving = await find_giving(self.engine, payer_id)
        if giving is not None and giving.payer_id in (None, payer_id):
            return giving.customer_id
        return await load_customer(self.engine, payer_id, livemode=self.livemode)
