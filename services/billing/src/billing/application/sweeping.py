"""Looks anew at orders that may still be paid, though nothing was heard of them: a blocked webhook still credits."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from chassis.postgres import DATABASE_ERRORS
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.blame import is_outage
from billing.application.errors import BillingError
from billing.application.looking import OrderLooks
from billing.domain.history import Change
from billing.domain.look_pace import is_past_settling, wait_at
from billing.domain.orders import Order, OrderState
from billing.store.orders import claim_due, load_created_at, look_later, note_once
from billing.stripe_api.errors import StripeRefusedError, StripeUnavailableError

PAGE: Final = 50
LEASE: Final = timedelta(minutes=5)
"""A sweeper that died, and an order that can't be looked at, are taken up again after it."""
MAX_UNANSWERED: Final = 3
"""Looks in a row that failed by an outage: it is one, and not only Stripe's being unable to tell of one order."""
POLL_SECONDS: Final = 5.0

LEFT_ALONE: Final = "left_alone"
_WHO: Final = "sweep"
_NEVER_SHOWN_AFTER: Final = timedelta(days=1)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Sweeper:
    """Sweeps until cancelled; several may run."""

    engine: AsyncEngine
    looks: OrderLooks

    async def run(self) -> None:
        while True:
            try:
                due = await claim_due(self.engine, limit=PAGE, lease=LEASE)
                await self.sweep(due)
            except (StripeUnavailableError, *DATABASE_ERRORS) as error:
                log.warning("sweep_interrupted", error=repr(error)[:500])
                due = []
            if len(due) < PAGE:
                await asyncio.sleep(POLL_SECONDS)

    async def sweep(self, order_ids: Sequence[str]) -> None:
        """Look at them, one after the other: nobody waits for it, and Stripe has others to answer.

        Raises what is an outage; those that are left are due again after their lease.
        """
        unanswered = 0
        for order_id in order_ids:
            try:
                await self._look(order_id)
            except (StripeRefusedError, BillingError) as error:
                log.warning("order_not_looked_at", order_id=order_id, error=str(error))
                await self._let_rest(order_id, error)
            except Exception as error:
                if is_outage(error):
                    unanswered += 1
                    if unanswered >= MAX_UNANSWERED:
                        raise
                    log.warning("order_not_looked_at", order_id=order_id, error=repr(error)[:500])
                    continue
                log.error("order_not_looked_at", order_id=order_id, error=repr(error)[:500])  # noqa: TRY400  its words are all
                await self._let_rest(order_id, error)
            unanswered = 0

    async def _let_rest(self, order_id: str, error: Exception) -> None:
        """One that can't be looked at is tried ever more rarely, and in the end left to a person."""
        age = datetime.now(UTC) - await load_created_at(self.engine, order_id)
        passes = isinstance(error, BillingError)  # purchases are off, say
        if passes or not is_past_settling(age):
            await look_later(self.engine, order_id, wait_at(age, shortest=LEASE))
            return
        await look_later(self.engine, order_id, None)
        change = Change(what=LEFT_ALONE, who=_WHO, why=repr(error)[:500])
        if await note_once(self.engine, order_id, change, LEFT_ALONE):
            log.error("order_left_alone", order_id=order_id)

    async def _look(self, order_id: str) -> None:
        order = await self.looks.look_anew(order_id, who=_WHO)
        if _was_never_shown(order):
            await self.looks.end(order, OrderState.EXPIRED, who=_WHO, why="its Checkout was never shown")


def _was_never_shown(order: Order) -> bool:
    """Whoever wanted it got no answer, and has not asked again: Stripe has nothing that could still be paid for it."""
    is_old = datetime.now(UTC) - order.created_at > _NEVER_SHOWN_AFTER
    return order.state is OrderState.CREATED and order.session_id is None and order.payment_intent_id is None and is_old
