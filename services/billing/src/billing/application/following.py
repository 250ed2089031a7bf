"""What Stripe's events are to orders: each that names one has it looked at anew."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.looking import OrderLooks
from billing.application.webhooks import Followed
from billing.domain.clues import Clues
from billing.domain.webhooks import ORDER_EVENTS, ReceivedEvent
from billing.store.orders import find_order, load_order
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeMissingError
from billing.stripe_api.payments import fetch_charge_owner, fetch_payment


@dataclass(frozen=True, kw_only=True)
class OrderFollower:
    """A `Follower` (see `application/webhooks.py`)."""

    engine: AsyncEngine
    stripe: StripeApi | None
    looks: OrderLooks

    async def follow(self, event: ReceivedEvent) -> Followed | None:
        if event.type not in ORDER_EVENTS:
            return None
        order_id = await self._find_order(event.clues)
        if order_id is None:
            return None
        order = await self.looks.look_anew(order_id, who=f"stripe:{event.id}", clues=event.clues)
        return Followed(outcome=f"order {order.state.value}", order_id=order.id)

    async def _find_order(self, clues: Clues) -> str | None:
        """The order that is named, or whose session or payment is; the payment is asked where we know neither yet."""
        if clues.order_id is not None and await load_order(self.engine, clues.order_id) is not None:
            return clues.order_id
        if clues.session_id is not None:
            order = await find_order(self.engine, session_id=clues.session_id)
            return None if order is None else order.id
        payment_intent_id = clues.payment_intent_id
        if payment_intent_id is None and clues.charge_id is not None and self.stripe is not None:
            payment_intent_id = await fetch_charge_owner(self.stripe, clues.charge_id)
        if payment_intent_id is None:
            return None
        if (order := await find_order(self.engine, payment_intent_id=payment_intent_id)) is not None:
            return order.id
        return await self._ask_payment(payment_intent_id)

    async def _ask_payment(self, payment_intent_id: str) -> str | None:
        """A refund or dispute may come before the purchase that it takes back."""
        if self.stripe is None:
            return None
        try:
            named = (await fetch_payment(self.stripe, payment_intent_id)).order_id
        except StripeMissingError:
            return None
        return named if named is not None and await load_order(self.engine, named) is not None else None
