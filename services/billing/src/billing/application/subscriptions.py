"""Looks at a subscription anew: the one path from what Stripe says of it to what billing says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from billing import metrics
from billing.application.errors import ContendedOrderError
from billing.application.looking import OrderLooks
from billing.domain.entitlement import PlanRules
from billing.domain.history import Change
from billing.domain.orders import OrderKind, OrderState
from billing.domain.plan_prices import PlanPrices
from billing.domain.subscription_facts import SubscriptionFacts
from billing.domain.subscription_history import lines_of
from billing.domain.subscriptions import (
    MADE_UP,
    ConvergedSubscription,
    Doubt,
    Duties,
    Subscription,
    converge_subscription,
)
from billing.store.orders import load_order
from billing.store.outbox import Saying
from billing.store.subscriptions import (
    Stored,
    Written,
    insert_subscription,
    leave_to_people,
    load_rivals,
    load_subscription,
    write_look,
)
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeRefusedError
from billing.stripe_api.subscriptions import cancel_subscription, fetch_subscription, refund_invoice, void_invoice

MAX_RACES: Final = 5

log = structlog.get_logger()


class NotOursError(Exception):
    """A subscription that no order of ours was made for; the text says why."""


@dataclass(frozen=True, kw_only=True)
class SubscriptionLooks:
    """Looks at subscriptions; `longest_wait`: after so long one that may change is looked at anyway.

    `on_said` is told that there is something to publish.
    """

    engine: AsyncEngine
    stripe: StripeApi
    orders: OrderLooks
    prices: PlanPrices
    rules: PlanRules
    longest_wait: timedelta
    on_said: Callable[[], None] = lambda: None

    async def look_anew(self, subscription_id: str, *, who: str, cause: str | None = None) -> Subscription:
        """Converge it on what Stripe says now, and do what is still to be done there.

        `who` or what asked for it stands in its history, `cause` is the id of an event behind it.

        Raises:
            NotOursError: see there.
            ContendedOrderError: others wrote it each time.
            StripeError: Stripe can't be asked, or refuses to answer.
        """
        if subscription_id.startswith(MADE_UP) and (stored := await load_subscription(self.engine, subscription_id)):
            return stored.subscription  # as it was invented, for good
        converged = await self._look(subscription_id, who, cause)
        if converged.duties:
            refused = await self._do(converged.subscription, converged.duties, who)
            converged = await self._look(subscription_id, who, cause)
            if refused:
                await leave_to_people(self.engine, subscription_id, refused)
        return converged.subscription

    async def _look(self, subscription_id: str, who: str, cause: str | None) -> ConvergedSubscription:
        for _ in range(MAX_RACES):
            stored = await load_subscription(self.engine, subscription_id)
            facts = await fetch_subscription(self.stripe, subscription_id, self.prices)
            if stored is None:
                stored = await self._make_known(facts, who)
            rivals = await load_rivals(self.engine, stored.subscription.account_id, but=subscription_id)
            converged = converge_subscription(
                stored.subscription,
                facts,
                self.rules,
                [rival.subscription for rival in rivals],
                is_ordered=await self._is_ordered(stored.subscription, who),
            )
            written = self._written(stored, rivals, converged, who)
            if await write_look(self.engine, written, facts.invoices, _sayings(converged), cause=cause):
                _report(stored.subscription, converged)
                if converged.events:
                    self.on_said()
                return converged
        raise ContendedOrderError(f"Subscription {subscription_id} is being changed by others.")

    async def _is_ordered(self, subscription: Subscription, who: str) -> bool:
        """Whether its Checkout was paid as it was ordered; once something was given, nobody asks again."""
        if subscription.told_starts_at is not None:
            return True
        order = await self.orders.look_anew(subscription.order_id, who=who)
        return order.state is OrderState.PAID

    async def _make_known(self, facts: SubscriptionFacts, who: str) -> Stored:
        order = await load_order(self.engine, facts.order_id) if facts.order_id is not None else None
        if order is None or order.kind is not OrderKind.SUBSCRIPTION or order.livemode != facts.livemode:
            raise NotOursError("no order of ours asked for it")
        subscription = Subscription(
            subscription_id=facts.subscription_id,
            account_id=order.account_id,
            payer_id=order.payer_id,
            order_id=order.id,
            customer_id=facts.customer_id,
        )
        await insert_subscription(self.engine, subscription, who=who)
        stored = await load_subscription(self.engine, facts.subscription_id)
        if stored is None:
            raise ContendedOrderError(f"Subscription {facts.subscription_id} is being changed by others.")
        return stored

    def _written(
        self, stored: Stored, rivals: Sequence[Stored], converged: ConvergedSubscription, who: str
    ) -> Sequence[Written]:
        wait = converged.look_again
        own = Written(
            read=stored,
            after=converged.subscription,
            lines=_lines(stored, converged.subscription, converged, who),
            look_again=None if wait is None else min(wait, self.longest_wait),
            doubt=converged.doubt,
        )
        read = {rival.subscription.subscription_id: rival for rival in rivals}
        pairs = [(read[after.subscription_id], after) for after in converged.replaced]
        # What replaces them is told by now; what is to be done about them at Stripe is found by a look at each.
        at_once = timedelta()
        replaced = [Written(before, after, _lines(before, after, converged, who), at_once) for before, after in pairs]
        return [own, *replaced]

    async def _do(self, subscription: Subscription, duties: Duties, who: str) -> list[Change]:
        """Do it, and return what Stripe would not do: a boleto can't be refunded."""
        for invoice_id in duties.void:
            await void_invoice(self.stripe, invoice_id)
        if duties.cancel:
            await cancel_subscription(self.stripe, subscription.subscription_id)
        refused: list[Change] = []
        for invoice in duties.refund:
            names = {"subscription_id": subscription.subscription_id, "invoice_id": invoice.invoice_id}
            try:
                await refund_invoice(self.stripe, invoice, subscription.order_id)
            except StripeRefusedError as error:
                log.warning("superfluous_payment_not_refunded", **names, reason=str(error))
                refused.append(Change(what="refund_refused", who=who, why=str(error), details=names))
        return refused


def _lines(stored: Stored, after: Subscription, converged: ConvergedSubscription, who: str) -> list[Change]:
    events = [event for told, event in converged.events if told.subscription_id == after.subscription_id]
    return list(lines_of(stored.subscription, after, events, who=who))


def _sayings(converged: ConvergedSubscription) -> list[Saying]:
    return [
        Saying(account_id=told.account_id, subject_id=told.subscription_id, data=event)
        for told, event in converged.events
    ]


def _report(before: Subscription, converged: ConvergedSubscription) -> None:
    after = converged.subscription
    for told, event in converged.events:
        metrics.PLAN_EVENTS.labels(type(event).__name__).inc()
        log.info("subscription_told", subscription_id=told.subscription_id, told=type(event).__name__)
    if after.standing is not before.standing:
        log.error("second_subscription_paid", subscription_id=after.subscription_id, account_id=after.account_id)
    if converged.doubt is not None:
        metrics.SUBSCRIPTION_DOUBTS.labels(converged.doubt.value).inc()
        _doubted(after, converged.doubt)


def _doubted(subscription: Subscription, doubt: Doubt) -> None:
    names = {"subscription_id": subscription.subscription_id, "reason": doubt.value}
    match doubt:
        case Doubt.NOT_ORDERED:
            log.warning("subscription_doubted", **names, hint="its order is not paid yet, or quarantined")
        case Doubt.UNKNOWN_PRICE:
            log.error(
                "subscription_doubted", **names, hint="name this price in the catalog, in stripe_prices of a plan"
            )
        case Doubt.MISSING_HISTORY:
            log.error("subscription_doubted", **names, hint="Stripe does not tell of a period that was paid")
