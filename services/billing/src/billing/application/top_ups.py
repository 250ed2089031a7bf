"""Auto top-up: looks at an account's balance, and buys its package with the saved card when it is low."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from contracts.events.billing import TopUpPause
from sqlalchemy.ext.asyncio import AsyncEngine

from billing import metrics
from billing.application.looking import OrderLooks
from billing.application.order_ids import new_order_id
from billing.domain.clues import Clues
from billing.domain.facts import PaymentStatus
from billing.domain.history import Change
from billing.domain.offers import Offers
from billing.domain.orders import Order, OrderKind, OrderState
from billing.domain.top_ups import Buy, Left, Package, Pause, TopUp, TopUpFacts, Wait, decide
from billing.store.customers import load_customer
from billing.store.orders import note_once
from billing.store.top_ups import (
    DECLINED,
    PAYMENT_ENDED,
    StoredTopUp,
    begin_purchase,
    find_unfinished_order,
    load_orders_so_far,
    load_top_up,
    pause,
)
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import CardProblemError, StripeRefusedError
from billing.stripe_api.payments import fetch_payment
from billing.stripe_api.top_ups import OffSessionPayment, cancel_payment, charge_card, find_payment, newest_card

KEYS_LIVE: Final = timedelta(hours=12)
"""Stripe knows a key for a day at least: a purchase is sent again within half of that, and never later."""
CLOCKS_DIFFER: Final = timedelta(minutes=10)
NEEDS_OWNER: Final = frozenset({"authentication_required", "expired_card"})
"""What no second attempt changes: Stripe's codes, and those of banks."""
WHO: Final = "top-up"

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class TopUps:
    """Looks at accounts whose auto top-up is on.

    `fetch_left` asks the ledger what the account has left. Months begin in `zone`.
    """

    engine: AsyncEngine
    stripe: StripeApi
    orders: OrderLooks
    offers: Offers
    fetch_left: Callable[[str], Awaitable[Left]]
    zone: ZoneInfo
    cool_down: timedelta
    livemode: bool

    async def look_anew(self, account_id: str) -> bool:
        """Finish what was begun, then buy, pause or leave it; whether it is to be looked at again.

        What is off or paused buys nothing more, and what it has begun is finished all the same.

        Raises:
            StripeError: Stripe can't be asked; nothing is lost, and the next look goes on from here.
            AskError: the ledger does not answer.
            BillingError: others are at the same order.
        """
        stored = await load_top_up(self.engine, account_id)
        if stored is None:
            return False
        buys = stored.is_on and stored.top_up.paused_for is None
        if (order := await find_unfinished_order(self.engine, account_id)) is not None:
            await self._finish(order, may_charge=buys)
        if not buys:
            return await find_unfinished_order(self.engine, account_id) is not None
        package = self._package(stored.top_up)
        if package is None:
            log.warning("top_up_not_sold", account_id=account_id, package=stored.top_up.package_id)
            return True
        decision = await self._decide(stored, package)
        if isinstance(decision, Buy):
            await self._buy(stored, package)
            decision = await self._decide(stored, package)  # what the card came to may pause it at once
        if isinstance(decision, Pause):
            await self._pause(stored, decision.cause)
        return True

    async def _decide(self, stored: StoredTopUp, package: Package) -> Buy | Pause | Wait:
        now = datetime.now(UTC)
        month_began_at = now.astimezone(self.zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        so_far = await load_orders_so_far(self.engine, stored, month_began_at=month_began_at)
        left = await self.fetch_left(stored.top_up.account_id)
        facts = TopUpFacts(
            balance_tokens=left.tokens,
            is_active=left.is_active,
            spent_minor=so_far.spent_minor,
            has_open_order=so_far.has_open_order,
            taken_back=so_far.taken_back,
            failures=so_far.failures,
            needs_owner=so_far.needs_owner,
            last_tried_at=so_far.last_tried_at,
            as_of=now,
        )
        decision = decide(stored.top_up, package, facts, self.cool_down)
        metrics.TOP_UP_DECISIONS.labels(decision.value if isinstance(decision, Wait) else type(decision).__name__).inc()
        return decision

    def _package(self, top_up: TopUp) -> Package | None:
        offer = self.offers.package(top_up.package_id)
        if offer is None or top_up.currency not in offer.prices:
            return None
        return Package(tokens=offer.tokens, amount_minor=offer.prices[top_up.currency])

    async def _buy(self, stored: StoredTopUp, package: Package) -> None:
        top_up = stored.top_up
        customer_id = await load_customer(self.engine, top_up.payer_id or top_up.account_id, livemode=self.livemode)
        card_id = None if customer_id is None else await newest_card(self.stripe, customer_id)
        if card_id is None:
            await self._pause(stored, TopUpPause.AUTHENTICATION_REQUIRED)
            return
        now = datetime.now(UTC)
        order = Order(
            id=new_order_id(),
            kind=OrderKind.TOP_UP,
            account_id=top_up.account_id,
            payer_id=top_up.payer_id,
            package_id=top_up.package_id,
            tokens=package.tokens,
            amount_minor=package.amount_minor,
            currency=top_up.currency,
            livemode=self.livemode,
            reference=card_id,
            created_at=now,
            changed_at=now,
        )
        if await begin_purchase(self.engine, stored, order, [Change(what="placed", who=WHO)]):
            metrics.ORDERS_PLACED.labels(order.kind.value).inc()
            await self._charge(order)

    async def _finish(self, order: Order, *, may_charge: bool) -> None:
        """Go on with a purchase that was begun, by whoever was stopped: never a second payment for it."""
        if order.payment_intent_id is None:
            customer_id = await load_customer(self.engine, order.pays, livemode=self.livemode)
            found = None
            if customer_id is not None:
                found = await find_payment(self.stripe, customer_id, order.id, since=order.created_at - CLOCKS_DIFFER)
            if found is None and may_charge and datetime.now(UTC) - order.created_at < KEYS_LIVE:
                await self._charge(order)
                return
            if found is None:
                await self._fail(order, "its payment was never made")
                return
            order = await self._settle(order, found)
        if order.payment_intent_id is not None and order.state in (OrderState.CREATED, OrderState.FAILED):
            await self._end_payment(order, order.payment_intent_id)

    async def _charge(self, order: Order) -> None:
        customer_id = await load_customer(self.engine, order.pays, livemode=self.livemode)
        if customer_id is None or order.reference is None:
            await self._fail(order, "there is no card to charge")
            return
        wanted = OffSessionPayment(
            order_id=order.id,
            account_id=order.account_id,
            customer_id=customer_id,
            card_id=order.reference,
            amount_minor=order.amount_minor,
            currency=order.currency,
            description=f"{order.tokens} tokens",
            idempotency_key=f"top-up:{order.id}",
        )
        try:
            payment = await charge_card(self.stripe, wanted)
        except CardProblemError as error:
            await self._declined(order, error)
        except StripeRefusedError as error:
            # The card was removed, say: no payment was made, and none will be without its person.
            await self._note_declined(order, error.code, needs_owner=True)
            await self._fail(order, str(error))
        else:
            await self._settle(order, payment.id)

    async def _declined(self, order: Order, error: CardProblemError) -> None:
        log.info("top_up_declined", order_id=order.id, code=error.code, decline_code=error.decline_code)
        if error.payment_intent_id is not None:
            await self._end_payment(order, error.payment_intent_id)
            return
        code = error.decline_code or error.code
        await self._note_declined(order, code, needs_owner=code in NEEDS_OWNER)
        await self._fail(order, str(error))

    async def _end_payment(self, order: Order, payment_intent_id: str) -> None:
        """Nobody shall pay later what the account has been told it does not get; if it was paid, it counts."""
        payment = await fetch_payment(self.stripe, payment_intent_id)
        if payment.status is PaymentStatus.OWED:
            # First, as whoever is stopped after it finds a payment that tells no cause any more.
            await self._note_declined(order, payment.failure_code, needs_owner=payment.failure_code in NEEDS_OWNER)
            await cancel_payment(self.stripe, payment.id)
        after = await self._settle(order, payment.id)
        if after.state is OrderState.FAILED:
            await note_once(self.engine, order.id, Change(what=PAYMENT_ENDED, who=WHO), payment.id)

    async def _note_declined(self, order: Order, code: str | None, *, needs_owner: bool) -> None:
        details = {"code": code, "needs_owner": needs_owner}
        await note_once(self.engine, order.id, Change(what=DECLINED, who=WHO, details=details), order.id)

    async def _settle(self, order: Order, payment_intent_id: str) -> Order:
        return await self.orders.look_anew(order.id, who=WHO, clues=Clues(payment_intent_id=payment_intent_id))

    async def _fail(self, order: Order, why: str) -> None:
        await self.orders.end(order, OrderState.FAILED, who=WHO, why=why)

    async def _pause(self, stored: StoredTopUp, cause: TopUpPause) -> None:
        if await pause(self.engine, stored, cause):
            log.warning("top_up_paused", account_id=stored.top_up.account_id, cause=cause.value)
            self.orders.on_said()
