"""Looks at an order anew: the one way in which anything about an order changes, whatever brought it about."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncEngine

from billing import metrics
from billing.application.errors import ContendedOrderError, PurchasesOffError, UnknownOrderError
from billing.domain.clues import Clues
from billing.domain.convergence import ConvergedOrder, converge_order
from billing.domain.ending import end_unpaid
from billing.domain.facts import OrderFacts, PaymentFacts, PaymentStatus, SessionFacts
from billing.domain.history import Change
from billing.domain.look_pace import wait_at
from billing.domain.orders import ORDER_ID, PAID_OUTSIDE, SWEPT_STATES, Order, OrderKind, OrderState
from billing.domain.outside import facts_outside
from billing.store import outbox
from billing.store.orders import load_order, looked_at, may_look, note_once, update_order
from billing.store.outbox import Saying
from billing.store.taken_back import known_ids, load_refunds, store_taken_back
from billing.stripe_api.checkout import expire_checkout, fetch_checkout, find_checkout
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeError, StripeUnreadableError
from billing.stripe_api.payments import fetch_payment, fetch_taken_back

MAX_RACES: Final = 8
VISITED_AFTER: Final = timedelta(seconds=3)
VISIT_SECONDS: Final = 4.0
"""Nobody waits longer for what Stripe says: then they see what was known before."""

log = structlog.get_logger()


class RaceLostError(Exception):
    """Somebody else wrote the order since it was read."""


@dataclass(frozen=True, kw_only=True)
class OrderLooks:
    """Looks at orders. `stripe` is None where purchases are off; `on_said` is told that there is something to publish.

    `again_after` is when an order that may still be paid is due to be looked at the next time; an old one, later.
    """

    engine: AsyncEngine
    stripe: StripeApi | None
    again_after: timedelta
    on_said: Callable[[], None] = lambda: None

    async def look_anew(self, order_id: str, *, who: str, clues: Clues | None = None) -> Order:
        """Fetch what is so now, and store what follows from it. Any number of these at once come to the same.

        `clues` name a session or payment that says it is this order's, though the order may not know it yet.

        Raises:
            UnknownOrderError: there is no such order.
            StripeError: Stripe can't be asked, or refuses to answer.
            ContendedOrderError: others wrote it each time.
        """
        for _ in range(MAX_RACES):
            order = await load_order(self.engine, order_id)
            if order is None:
                raise UnknownOrderError(f"There is no order {order_id}.")
            facts = await self._fetch(order, clues or Clues(), who)
            with suppress(RaceLostError):
                return await self.settle(order, facts, who=who)
        raise ContendedOrderError(f"Order {order_id} is being changed by others.")

    async def visit(self, order_id: str) -> Order:
        """The order for somebody who looks at it: looked at anew if it may still be paid, but not by everybody.

        Raises:
            UnknownOrderError: there is no such order.
        """
        order = await load_order(self.engine, order_id) if ORDER_ID.fullmatch(order_id) else None
        if order is None:
            raise UnknownOrderError("There is no such order.")
        if order.state not in SWEPT_STATES or not await may_look(self.engine, order_id, after=VISITED_AFTER):
            return order
        try:
            async with asyncio.timeout(VISIT_SECONDS):
                return await self.look_anew(order_id, who="visit")
        except Exception as error:  # whoever waits for their tokens is shown what stands, whatever keeps us from more
            log.warning("order_not_looked_at", order_id=order_id, error=repr(error)[:500])
            return order

    async def settle(self, order: Order, facts: OrderFacts, *, who: str) -> Order:
        """Store what the facts make of the order that was read; raises as `store`."""
        return await self.store(order, converge_order(order, facts, now=datetime.now(UTC), who=who), facts)

    async def end(self, order: Order, state: OrderState, *, who: str, why: str) -> Order:
        """Have an order that was read be over unpaid, if it may be; what it is then, or has become meanwhile.

        Raises:
            StripeError, ContendedOrderError: as `look_anew`, where somebody else wrote it first.
        """
        try:
            ended = end_unpaid(order, state, now=datetime.now(UTC), who=who, why=why)
            return await self.store(order, ended, OrderFacts())
        except RaceLostError:
            return await self.look_anew(order.id, who=who)

    async def store(self, order: Order, converged: ConvergedOrder, facts: OrderFacts) -> Order:
        """Write what was decided on the order that was read, in one transaction: state, life, and what is said.

        Raises:
            RaceLostError: it was written since; nothing is.
        """
        after = converged.order
        async with self.engine.begin() as connection:
            is_new = await store_taken_back(connection, after, facts)
            if is_new or after is not order:
                if not await update_order(connection, after, converged.changes):
                    raise RaceLostError
                after = structs.replace(after, version=after.version + 1)
            wait = wait_at(datetime.now(UTC) - after.created_at, shortest=self.again_after)
            await looked_at(connection, after, again_after=wait)
            sayings = [
                Saying(account_id=after.account_id, subject_id=after.id, data=event) for event in converged.events
            ]
            await outbox.append(connection, sayings)
        for change in converged.changes:
            metrics.ORDER_CHANGES.labels(change.what).inc()
            level = log.error if change.what == OrderState.QUARANTINED else log.info
            level("order_changed", order_id=order.id, what=change.what, by=change.who, **change.details)
        if converged.events:
            self.on_said()
        return after

    async def _fetch(self, order: Order, clues: Clues, who: str) -> OrderFacts:
        if order.kind in PAID_OUTSIDE:
            return facts_outside(order, await load_refunds(self.engine, order.id))
        if self.stripe is None:
            raise PurchasesOffError
        session, payment = await self._fetch_payment(self.stripe, order, clues, who)
        if payment is None and order.cost_nothing:
            # Of what was not collected Stripe gives nothing back: an operator's record takes it.
            return OrderFacts(session=session, refunds=await load_refunds(self.engine, order.id))
        if payment is None or payment.status is not PaymentStatus.SUCCEEDED:
            return OrderFacts(session=session, payment=payment)
        known = await known_ids(self.engine, order.id)
        back = await fetch_taken_back(self.stripe, payment.id)
        if not known <= back.ids:
            # They are never deleted: this list is older than another one was, and would give back what was taken.
            raise StripeUnreadableError("a list that lacks what was there before")
        return OrderFacts(
            session=session,
            payment=payment,
            refunds=back.refunds,
            disputes=back.disputes,
            fraud_warnings=back.fraud_warnings,
        )

    async def _fetch_payment(
        self, stripe: StripeApi, order: Order, clues: Clues, who: str
    ) -> tuple[SessionFacts | None, PaymentFacts | None]:
        """The order's own, or the one that paid it in its stead; a second one that was paid is reported."""
        if order.session_id is None:
            return await self._find_payment(stripe, order, clues)
        own = await fetch_checkout(stripe, order.session_id)
        if clues.session_id is None or clues.session_id == order.session_id:
            return own
        other = await fetch_checkout(stripe, clues.session_id)
        if not other[0].is_paid or other[0].order_id != order.id:
            return own
        if order.state is OrderState.PAID or own[0].is_paid:
            await self._report_second_payment(order, other[0], who)
            return own
        with suppress(StripeError):  # nobody shall pay the one that was not used; if somebody does, it is reported
            await expire_checkout(stripe, order.session_id)
        return other

    async def _find_payment(
        self, stripe: StripeApi, order: Order, clues: Clues
    ) -> tuple[SessionFacts | None, PaymentFacts | None]:
        """Of an order that knows no session: its payment, or what the clues name and says itself that it is for it."""
        session_id, payment_intent_id = clues.session_id, order.payment_intent_id or clues.payment_intent_id
        if order.kind is not OrderKind.TOP_UP and session_id is None and payment_intent_id is not None:
            session_id = await find_checkout(stripe, payment_intent_id)
        if session_id is not None:
            session, payment = await fetch_checkout(stripe, session_id)
            return (session, payment) if session.order_id == order.id else (None, None)
        if payment_intent_id is None:
            return None, None
        payment = await fetch_payment(stripe, payment_intent_id)
        return None, payment if payment.order_id == order.id else None

    async def _report_second_payment(self, order: Order, session: SessionFacts, who: str) -> None:
        details = {"session_id": session.id, "payment_intent_id": session.payment_intent_id}
        change = Change(what="paid_twice", who=who, details=details)
        if await note_once(self.engine, order.id, change, session.id):
            metrics.ORDER_CHANGES.labels(change.what).inc()
            log.error("order_paid_twice", order_id=order.id, **details)
