"""Holds objects of Stripe's against what stands here: what differs is looked at anew, and told if it still does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.blame import is_outage
from billing.application.looking import OrderLooks
from billing.application.subscriptions import NotOursError, SubscriptionLooks
from billing.domain.clues import Clues
from billing.domain.facts import DisputeFacts, OrderFacts, RefundFacts, SessionFacts
from billing.domain.orders import Order
from billing.domain.reconciliation import Difference, DifferenceKind, agrees, checkout_difference, part_difference
from billing.store.asked_refunds import find_payment
from billing.store.orders import find_order, load_order
from billing.store.subscriptions import find_of_payment, load_subscription
from billing.store.syncing import load_disputes, load_doubtful, load_paid_in_vain
from billing.store.taken_back import known_ids, load_refunds, store_taken_back
from billing.stripe_api.errors import StripeMissingError
from billing.stripe_api.past import PastCheckout, PastSubscription, PastWarning
from billing.stripe_api.payments import fetch_taken_back

WHO = "billing-sync"


@dataclass(frozen=True, kw_only=True)
class Comparing:
    """`told` gets each difference. The sets count what was done; an order in `settled` needs no look any more."""

    engine: AsyncEngine
    looks: OrderLooks
    subscriptions: SubscriptionLooks
    told: Callable[[Difference], None]
    settled: set[str] = field(default_factory=set)
    looked_at: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)

    async def checkout(self, checkout: PastCheckout) -> None:
        """Stripe has a Checkout: is its order as it says?"""
        if checkout.facts is None or checkout.order_id is None:
            self.foreign.add(checkout.id)
            return
        order = await load_order(self.engine, checkout.order_id)
        if order is None and not checkout.facts.is_paid:
            self.foreign.add(checkout.id)
            return
        if order is not None and agrees(checkout.facts, order):
            self.settled.add(order.id)
            return
        if order is not None:
            order = await self._look(order, checkout.id, Clues(order_id=order.id, session_id=checkout.id))
            if order is None:
                return
        refunds = await load_refunds(self.engine, order.id) if order is not None else ()
        difference = checkout_difference(checkout.facts, order, refunds)
        if difference is not None and not await self._is_settled_there(difference, checkout.facts):
            self.told(difference)

    async def part(
        self, part: RefundFacts | DisputeFacts, *, payment_intent_id: str | None, order_id: str | None = None
    ) -> None:
        """Stripe has a refund or a dispute: does it stand here as it is there?"""
        order = await load_order(self.engine, order_id) if order_id is not None else None
        if order is None and payment_intent_id is not None:
            order = await find_order(self.engine, payment_intent_id=payment_intent_id)
        if (order is None or not order.gives_credits) and payment_intent_id is not None:
            subscription_id = await find_of_payment(self.engine, payment_intent_id)
            if subscription_id is not None:
                await self._part_of_subscription(part, subscription_id, payment_intent_id)
                return
        if order is None or not order.gives_credits:
            if order_id is None:
                self.foreign.add(part.id)
                return
            told = (
                f"{part.amount_minor} {part.currency}, {part.status}, of an order or a payment that is not known here"
            )
            kind = _kind(part)
            self._tell(Difference(difference=kind, stripe_id=part.id, order_id=order_id, explanation=told))
            return
        if await self._difference(order, part) is None:
            return
        clues = Clues(order_id=order.id, payment_intent_id=payment_intent_id)
        if (order := await self._look(order, part.id, clues)) is not None:
            self._tell(await self._difference(order, part))

    async def warning(self, warning: PastWarning) -> None:
        """Stripe has a warning of fraud: is it known here what it takes? It takes no plan, and never changes."""
        if warning.payment_intent_id is None:
            return
        order = await find_order(self.engine, payment_intent_id=warning.payment_intent_id)
        if order is None or not order.gives_credits or warning.id in await known_ids(self.engine, order.id):
            return
        await self._look(order, warning.id, Clues(order_id=order.id, payment_intent_id=warning.payment_intent_id))

    async def _part_of_subscription(
        self, part: RefundFacts | DisputeFacts, subscription_id: str, payment_intent_id: str
    ) -> None:
        """A look at the subscription finds what it does to plan and invoice; of the first payment it is the order's."""
        if subscription_id not in self.looked_at:
            await self.subscription(PastSubscription(id=subscription_id, order_id=None))
        stored = await load_subscription(self.engine, subscription_id)
        order = await load_order(self.engine, stored.subscription.order_id) if stored is not None else None
        if order is not None and await find_payment(self.engine, order) == payment_intent_id:
            async with self.engine.begin() as connection:
                if await store_taken_back(connection, order, _facts_of(part)):
                    self.changed.add(order.id)

    async def subscription(self, subscription: PastSubscription) -> None:
        """Stripe has a subscription: it is looked at anew, whatever stands here of it."""
        before = await load_subscription(self.engine, subscription.id)
        try:
            after = await self.subscriptions.look_anew(subscription.id, who=WHO)
        except NotOursError:
            if subscription.order_id is None:
                self.foreign.add(subscription.id)
                return
            kind, told = DifferenceKind.SUBSCRIPTION, "a subscription of an order that is not known here"
        except Exception as error:
            if is_outage(error):
                raise
            kind, told = DifferenceKind.NOT_LOOKED_AT, str(error)[:500]
        else:
            self.looked_at.add(subscription.id)
            if before is None or before.subscription != after:
                self.changed.add(subscription.id)
            return
        order_id = subscription.order_id
        self._tell(Difference(difference=kind, stripe_id=subscription.id, order_id=order_id, explanation=told))

    async def doubts(self) -> None:
        """What a look at a subscription could conclude nothing from."""
        for doubtful in await load_doubtful(self.engine):
            self._tell(
                Difference(
                    difference=DifferenceKind.SUBSCRIPTION,
                    stripe_id=doubtful.subscription_id,
                    order_id=doubtful.order_id,
                    explanation=f"nothing is concluded of what was paid: {doubtful.doubt}",
                )
            )

    async def in_vain(self, since: datetime) -> None:
        """What was paid for subscriptions that ended before they gave it: a person knows why they ended."""
        for paid in await load_paid_in_vain(self.engine, since):
            told = (
                f"{paid.paid_minor} {paid.currency} were paid for a period of an ended subscription that never gave it"
            )
            self._tell(
                Difference(
                    difference=DifferenceKind.PAID_IN_VAIN,
                    stripe_id=paid.invoice_id,
                    order_id=paid.order_id,
                    explanation=told,
                )
            )

    async def order(self, order_id: str) -> None:
        """An order stands here of which Stripe told nothing: is there what it names?"""
        if order_id in self.settled or order_id in self.looked_at:
            return
        order = await load_order(self.engine, order_id)
        if order is not None:
            await self._look(order, None, Clues())

    async def _look(self, order: Order, stripe_id: str | None, clues: Clues) -> Order | None:
        """The order as it is after a look; None where that is not possible, which is told.

        Raises:
            StripeUnavailableError: Stripe does not answer.
        """
        self.looked_at.add(order.id)
        try:
            after = await self.looks.look_anew(order.id, who=WHO, clues=clues)
        except StripeMissingError as error:
            kind, told = DifferenceKind.MISSING_THERE, f"Stripe has not what the order names: {error}"
        except Exception as error:
            if is_outage(error):
                raise
            kind, told = DifferenceKind.NOT_LOOKED_AT, str(error)[:500]
        else:
            if after.version != order.version:
                self.changed.add(order.id)
            return after
        self._tell(Difference(difference=kind, stripe_id=stripe_id, order_id=order.id, explanation=told))
        return None

    async def _is_settled_there(self, difference: Difference, session: SessionFacts) -> bool:
        """Whether somebody has given back at Stripe what was paid for nothing; raises StripeError."""
        settles = difference.difference in {DifferenceKind.PAID_UNKNOWN_ORDER, DifferenceKind.PAID_TWICE}
        if not settles or session.payment_intent_id is None or self.looks.stripe is None:
            return False
        back = await fetch_taken_back(self.looks.stripe, session.payment_intent_id)
        return sum(each.amount_minor for each in back.refunds if each.has_left) >= session.total_minor

    async def _difference(self, order: Order, part: RefundFacts | DisputeFacts) -> Difference | None:
        stored: Sequence[RefundFacts | DisputeFacts]
        if isinstance(part, RefundFacts):
            stored = await load_refunds(self.engine, order.id)
        else:
            stored = await load_disputes(self.engine, order.id)
        return part_difference(part, stored, order.id, _kind(part))

    def _tell(self, difference: Difference | None) -> None:
        if difference is not None:
            self.told(difference)


def _facts_of(part: RefundFacts | DisputeFacts) -> OrderFacts:
    return OrderFacts(refunds=(part,)) if isinstance(part, RefundFacts) else OrderFacts(disputes=(part,))


def _kind(part: RefundFacts | DisputeFacts) -> DifferenceKind:
    return DifferenceKind.REFUND if isinstance(part, RefundFacts) else DifferenceKind.DISPUTE
