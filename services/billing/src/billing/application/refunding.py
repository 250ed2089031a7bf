"""Gives orders back: through Stripe what was paid there, by a record what was paid elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from contracts.errors import ConflictError, NotFoundError, SolarisError
from msgspec import Struct, structs
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.errors import PurchasesOffError
from billing.application.looking import OrderLooks
from billing.domain.facts import RefundFacts
from billing.domain.history import Change
from billing.domain.orders import Order, OrderState
from billing.domain.outside import OUTSIDE
from billing.domain.refunding import RefundPlan, Way, plan_refund
from billing.store.asked_refunds import (
    ASKED,
    MADE,
    REFUSED,
    Asked,
    count_refused,
    find_payment,
    find_unanswered,
    name_refund,
    note,
    record_refund,
)
from billing.store.orders import load_order, look_later
from billing.store.taken_back import load_refunds
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeRefusedError
from billing.stripe_api.payments import create_refund, fetch_payment

ANSWERED_WITHIN: Final = timedelta(minutes=5)


class Refunded(Struct, frozen=True, kw_only=True):
    """What came of it, and the order afterwards; `refund_id` None: it was never paid, and is cancelled."""

    refund_id: str | None
    amount_minor: int
    status: str
    has_failed: bool = False
    order: Order


class RefundRefusedError(SolarisError):
    """Stripe does not give it back; that stands in the order's life."""


@dataclass(frozen=True, kw_only=True)
class Refunding:
    """`stripe` is None where purchases are off: then only what was paid elsewhere is given back."""

    engine: AsyncEngine
    stripe: StripeApi | None
    looks: OrderLooks

    async def refund(self, order_id: str, typed: int | None, *, by: str, reason: str) -> Refunded:
        """Give back that amount, or all that is left.

        Raises:
            NotFoundError: there is no such order.
            InvalidError: it can't be given back, or not that much.
            ConflictError: somebody else was at it just now.
            RefundRefusedError: Stripe refuses.
            StripeUnavailableError: it does not answer. Perhaps it was done; the same again within a day finds out, and
                gives nothing back twice.
        """
        if await load_order(self.engine, order_id) is None:
            raise NotFoundError(f"no order {order_id}")
        # What was given back elsewhere meanwhile counts.
        order = await self.looks.look_anew(order_id, who=by)
        payment_id = await find_payment(self.engine, order)
        unanswered = await find_unanswered(self.engine, order_id)
        if unanswered is not None and unanswered.typed == typed and payment_id is not None:
            return await self._ask_stripe(order, payment_id, unanswered, by, reason)
        refunds = await load_refunds(self.engine, order_id)
        plan = plan_refund(order, refunds, typed, has_payment=payment_id is not None)
        match plan.way:
            case Way.CANCEL:
                return await self._cancel(order, by, reason)
            case Way.RECORD:
                return await self._record(order, plan, len(refunds), by, reason)
            case Way.STRIPE:
                payment_id = payment_id or ""  # the plan says that there is one
                asked = await self._asked(order, payment_id, plan, refunds, typed)
                details = structs.asdict(asked)
                await note(self.engine, order.id, Change(what=ASKED, who=by, why=reason, details=details))
                return await self._ask_stripe(order, payment_id, asked, by, reason)

    async def _cancel(self, order: Order, by: str, reason: str) -> Refunded:
        after = await self.looks.end(order, OrderState.CANCELLED, who=by, why=reason)
        if after.state is not OrderState.CANCELLED:
            raise ConflictError(f"order {order.id} was changed by somebody else just now; see make orders")
        return Refunded(refund_id=None, amount_minor=0, status="cancelled", order=after)

    async def _record(self, order: Order, plan: RefundPlan, number: int, by: str, reason: str) -> Refunded:
        refund = RefundFacts(
            # Two who record the same at once record one: the number is the same for both.
            id=f"{OUTSIDE}{order.id}:{number + 1}",
            amount_minor=plan.amount_minor or 0,
            currency=order.currency,
            status="succeeded",
            created_at=datetime.now(UTC),
        )
        details = {"refund": refund.id, "amount_minor": refund.amount_minor}
        if not await record_refund(self.engine, order, refund, Change(what=MADE, who=by, why=reason, details=details)):
            raise ConflictError(f"somebody else refunded order {order.id} just now; see make orders")
        return await self._done(order, refund, by)

    async def _asked(
        self, order: Order, payment_id: str, plan: RefundPlan, refunds: Sequence[RefundFacts], typed: int | None
    ) -> Asked:
        amount_minor = plan.amount_minor
        if amount_minor is None:
            payment = await fetch_payment(self._stripe, payment_id)
            amount_minor = payment.received_minor - sum(each.amount_minor for each in refunds if each.has_left)
        refused = await count_refused(self.engine, order.id)
        # Another one once something came of the one before: Stripe answers a key for a day as it did the first time.
        key = f"refund:{order.id}:{len(refunds)}:{refused}:{amount_minor}"
        return Asked(key=key, typed=typed, amount_minor=amount_minor)

    async def _ask_stripe(self, order: Order, payment_id: str, asked: Asked, by: str, reason: str) -> Refunded:
        # Whoever asks may die before it is answered, and what Stripe tells may not come.
        await look_later(self.engine, order.id, ANSWERED_WITHIN)
        try:
            refund = await create_refund(
                self._stripe,
                order_id=order.id,
                payment_intent_id=payment_id,
                amount_minor=asked.amount_minor,
                idempotency_key=asked.key,
            )
        except StripeRefusedError as error:
            details = {"key": asked.key, "amount_minor": asked.amount_minor, "told": str(error)}
            await note(self.engine, order.id, Change(what=REFUSED, who=by, why=reason, details=details))
            raise RefundRefusedError(f"Stripe refuses: {error}") from error
        details = {"key": asked.key, "refund": refund.id, "amount_minor": refund.amount_minor}
        await name_refund(self.engine, order, refund, Change(what=MADE, who=by, why=reason, details=details))
        return await self._done(order, refund, by)

    async def _done(self, order: Order, refund: RefundFacts, by: str) -> Refunded:
        after = await self.looks.look_anew(order.id, who=by)
        return Refunded(
            refund_id=refund.id,
            amount_minor=refund.amount_minor,
            status=refund.status,
            has_failed=refund.has_failed,
            order=after,
        )

    @property
    def _stripe(self) -> StripeApi:
        if self.stripe is None:
            raise PurchasesOffError
        return self.stripe
