"""Has Stripe show the Checkout of an order, the same one however often it is asked for."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from msgspec import Struct, structs
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.customers import Customers
from billing.application.errors import PaymentRefusedError
from billing.application.looking import OrderLooks, RaceLostError
from billing.application.payment_service import told_to_people
from billing.domain.facts import OrderFacts, SessionFacts
from billing.domain.offers import Offer
from billing.domain.orders import Order, OrderState
from billing.stripe_api.checkout import CheckoutRequest, create_checkout, expire_checkout
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import (
    StripeConflictError,
    StripeMissingError,
    StripeRefusedError,
)

LEAST_LEFT: Final = timedelta(minutes=5)
"""A Checkout that ends sooner is ended, and another one shown: who types a card needs the time."""
STRIPES_LEAST: Final = timedelta(minutes=31)
"""Stripe shows a Checkout for half an hour at least."""
_WHO: Final = "checkout"

log = structlog.get_logger()


class Payer(Struct, frozen=True):
    """Who pays: another than the account, where `payer_id` is given; whoever has a link, where `is_guest`."""

    payer_id: str | None
    is_guest: bool


@dataclass(frozen=True, kw_only=True)
class Checkouts:
    """`lifetime` counts from the order's first moment, so that a repeated request is the same one.

    `order_page` is the address of the orders' pages, to which an order's id is added.
    """

    engine: AsyncEngine
    stripe: StripeApi
    customers: Customers
    looks: OrderLooks
    livemode: bool
    lifetime: timedelta
    order_page: str

    async def show(self, order: Order, offer: Offer, payer: Payer) -> str | None:
        """The address at which the order is paid now; None where it can't be any more, and another one may be placed.

        Of an order that is paid, pending or under inspection it is the order's own page. One that another than
        `payer` was to pay is ended: a Checkout may show whose it is.

        Raises:
            PaymentServiceError: Stripe does not answer; to be called again with the same order.
            PaymentRefusedError: Stripe refuses it, or shows something else than was ordered.
        """
        with told_to_people("The payment service refuses this purchase.", order_id=order.id):
            if order.session_id is None and order.state is OrderState.CREATED:
                order = await self._create(order, offer, payer)
            elif order.state is OrderState.OPEN:
                order = await self._refreshed(order, offer, payer)
        match order.state:
            case OrderState.OPEN:
                return order.session_url
            case OrderState.PAID | OrderState.PENDING:
                return self.page_of(order)
            case OrderState.QUARANTINED:
                raise PaymentRefusedError("The payment service shows something else than was ordered.")
            case _:
                return None

    def page_of(self, order: Order) -> str:
        """The order's own page, which tells whoever has its address what has become of it."""
        return f"{self.order_page}/{order.id}"

    async def _create(self, order: Order, offer: Offer, payer: Payer) -> Order:
        expires_at = order.created_at + self.lifetime
        if datetime.now(UTC) + STRIPES_LEAST > expires_at or not _is_as_wanted(order, offer, payer):
            return await self.looks.end(order, OrderState.EXPIRED, who=_WHO, why="its Checkout was never shown")
        locale = order.locale or "pt-BR"
        wanted = CheckoutRequest(
            order_id=order.id,
            account_id=order.account_id,
            customer_id=await self._customer_of(order, locale),
            plan=order.plan,
            name=offer.name(locale),
            amount_minor=order.amount_minor,
            currency=order.currency,
            stripe_price=offer.stripe_prices.get(order.currency),
            locale=locale,
            order_url=self.page_of(order),
            expires_at=expires_at,
            idempotency_key=f"checkout:{order.id}",
        )
        try:
            session = await self._create_session(order, wanted)
        except StripeConflictError as error:
            # Catalog or settings have changed since it was asked for first, and nobody was answered: another order.
            return await self.looks.end(order, OrderState.FAILED, who=_WHO, why=str(error))
        except StripeRefusedError as error:
            await self.looks.end(order, OrderState.FAILED, who=_WHO, why=str(error))
            raise
        return await self._settled(order, session)

    async def _customer_of(self, order: Order, locale: str) -> str:
        if order.is_guests:
            return await self.customers.guest_of(order.id, order.account_id, locale=locale)
        return await self.customers.customer_of(order.pays, locale=locale)

    async def _create_session(self, order: Order, wanted: CheckoutRequest) -> SessionFacts:
        try:
            return await create_checkout(self.stripe, wanted)
        except StripeMissingError as error:
            if not error.lacks_customer or order.is_guests:
                raise
        customer_id = await self.customers.replace(order.pays, wanted.customer_id, locale=wanted.locale)
        key = f"checkout:{order.id}:{customer_id}"
        anew = structs.replace(wanted, customer_id=customer_id, idempotency_key=key)
        return await create_checkout(self.stripe, anew)

    async def _settled(self, order: Order, session: SessionFacts) -> Order:
        try:
            return await self.looks.settle(order, OrderFacts(session=session), who=_WHO)
        except RaceLostError:  # the same Checkout was shown to another request, and stored by that
            return await self.looks.look_anew(order.id, who=_WHO)

    async def _refreshed(self, order: Order, offer: Offer, payer: Payer) -> Order:
        """The order as it is now; ended where its Checkout is about to, or has another price than is asked today."""
        order = await self.looks.look_anew(order.id, who=_WHO)
        if order.state is not OrderState.OPEN or order.session_id is None or order.session_expires_at is None:
            return order
        if order.session_expires_at - datetime.now(UTC) > LEAST_LEFT and _is_as_wanted(order, offer, payer):
            return order
        return await self._expire(order, order.session_id)

    async def _expire(self, order: Order, session_id: str) -> Order:
        try:
            await expire_checkout(self.stripe, session_id)
        except StripeRefusedError as error:  # it ended, or was paid, this very moment
            log.info("checkout_not_ended", order_id=order.id, error=str(error))
        return await self.looks.look_anew(order.id, who=_WHO)


def _is_as_wanted(order: Order, offer: Offer, payer: Payer) -> bool:
    is_same = offer.id in (order.package_id, order.plan) and Payer(order.payer_id, order.is_guests) == payer
    return is_same and order.tokens == offer.tokens and order.amount_minor == offer.prices.get(order.currency)
