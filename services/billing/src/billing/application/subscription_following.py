"""What Stripe's events are to subscriptions: each that names one, or a payment of one, has it looked at anew."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.subscriptions import NotOursError, SubscriptionLooks
from billing.application.webhooks import Followed
from billing.domain.clues import Clues
from billing.domain.webhooks import ORDER_EVENTS, SUBSCRIPTION_EVENTS, ReceivedEvent
from billing.store.subscriptions import find_of_payment


@dataclass(frozen=True, kw_only=True)
class SubscriptionFollower:
    """A `Follower` (see `application/webhooks.py`); behind that of orders, whose payment a first look needs."""

    engine: AsyncEngine
    looks: SubscriptionLooks

    async def follow(self, event: ReceivedEvent) -> Followed | None:
        # Several tell of each change; to look at all of them costs Stripe's patience on the first of a month.
        if event.type not in SUBSCRIPTION_EVENTS | ORDER_EVENTS:
            return None
        subscription_id = await self._find(event.clues)
        if subscription_id is None:
            return None
        try:
            found = await self.looks.look_anew(subscription_id, who=f"stripe:{event.id}", cause=event.id)
        except NotOursError as error:
            return Followed(outcome=f"subscription: {error}", subscription_id=subscription_id)
        outcome = "no plan" if found.given is None else f"plan {found.given.plan}"
        return Followed(outcome=outcome, order_id=found.order_id, subscription_id=subscription_id)

    async def _find(self, clues: Clues) -> str | None:
        if clues.subscription_id is not None:
            return clues.subscription_id
        if clues.payment_intent_id is None:
            return None
        return await find_of_payment(self.engine, clues.payment_intent_id)
