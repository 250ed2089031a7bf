"""Places an order for a package or a plan: written first, then shown by Stripe; one open Checkout for one wish."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import structlog
from contracts.codec import encode
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from billing import metrics
from billing.application.checkouts import Checkouts, Payer
from billing.application.errors import (
    CurrencyNotOfferedError,
    IdempotencyConflictError,
    PaymentServiceError,
    TooManyPurchasesError,
    UnknownPackageError,
)
from billing.application.order_ids import new_order_id
from billing.application.subscribing import find_awaited
from billing.domain.history import Change
from billing.domain.offers import Offer, Offers
from billing.domain.orders import Order, OrderKind, OrderState
from billing.store.orders import find_order, insert_order
from billing.store.paces import Counted, Pace, give_back_all, key_of, take_all
from billing.store.request_keys import RequestKey, bind_key, claim_key, find_bound

_HOUR: Final = timedelta(hours=1)
PACES: Final = {
    "link": Pace(times=10, window=_HOUR),
    "account": Pace(times=20, window=_HOUR),
    "address": Pace(times=40, window=_HOUR),
}
"""Purchases that may be begun: whoever tries stolen cards begins many. Paying at an open Checkout counts at Stripe."""
MAX_TURNS: Final = 5

log = structlog.get_logger()


class PurchaseRequest(Struct, frozen=True, kw_only=True):
    """A package, or a plan to subscribe to. `caller` is who asks, for the order's life.

    `link` and `address` are counted where they are known.
    """

    package_id: str | None = None
    plan_id: str | None = None
    account_id: str
    payer_id: str | None = None
    currency: str | None = None
    locale: str
    caller: str
    idempotency_key: str | None = None
    link: str | None = None
    address: str | None = None

    @property
    def payer(self) -> Payer:
        return Payer(self.payer_id, is_guest=self.link is not None)


class Placed(Struct, frozen=True, kw_only=True):
    """Where to pay the order."""

    order_id: str
    checkout_url: str


@dataclass(frozen=True, kw_only=True)
class Placing:
    """Places orders for what one catalog sells."""

    engine: AsyncEngine
    offers: Offers
    checkouts: Checkouts
    look_after: timedelta

    async def place_order(self, wanted: PurchaseRequest) -> Placed:
        """Write the order, or find the one that stands for this wish already, and have its Checkout shown.

        Killed anywhere, the same wish finds the order again, and the same Checkout.

        Raises:
            UnknownPackageError, CurrencyNotOfferedError: it is not sold, or not so.
            AlreadySubscribedError: a plan is paid for the account as it is.
            IdempotencyConflictError: the caller's key asked for something else before.
            TooManyPurchasesError: somebody tries too much.
            PaymentServiceError: Stripe does not answer; the same request may be sent again.
            PaymentRefusedError: Stripe refuses it.
        """
        offer = self._offer(wanted)
        currency = wanted.currency or next(iter(offer.prices))
        if currency not in offer.prices:
            raise CurrencyNotOfferedError(f"This is sold in {', '.join(offer.prices)}.")
        counted = await self._count(wanted)
        key = _key_of(wanted, offer)
        if wanted.plan_id is not None and (key is None or await self._find_same(key) is None):
            awaited = await find_awaited(self.engine, wanted.account_id)
            if awaited is not None and (key is None or await bind_key(self.engine, key, awaited.id)):
                return Placed(order_id=awaited.id, checkout_url=self.checkouts.page_of(awaited))
        try:
            return await self._place(wanted, offer, currency, key)
        except PaymentServiceError:
            # Whoever sends it again, as they are told to, has not begun two.
            await give_back_all(self.engine, counted)
            raise

    async def _place(self, wanted: PurchaseRequest, offer: Offer, currency: str, key: RequestKey | None) -> Placed:
        for _ in range(MAX_TURNS):
            same = None if key is None else await self._find_same(key)
            order = same or await self._write(wanted, offer, currency, key)
            if order is None:
                continue
            url = await self.checkouts.show(order, offer, wanted.payer)
            if same is not None:  # the same key is the same order, whatever has become of it
                return Placed(order_id=order.id, checkout_url=url or self.checkouts.page_of(order))
            # One that was open already is the key's from now on, unless another request has bound the key meanwhile.
            if url is not None and (key is None or await bind_key(self.engine, key, order.id)):
                return Placed(order_id=order.id, checkout_url=url)
        raise PaymentServiceError("The purchase could not be begun; try again.")

    def _offer(self, wanted: PurchaseRequest) -> Offer:
        if wanted.plan_id is not None:
            offer = self.offers.plan(wanted.plan_id)
        else:
            offer = self.offers.package(wanted.package_id or "")
        if offer is None:
            raise UnknownPackageError("No such package or plan is sold.")
        return offer

    async def _count(self, wanted: PurchaseRequest) -> Sequence[Counted]:
        names = (("link", wanted.link), ("account", wanted.account_id), ("address", wanted.address))
        counted = [(key_of("purchase", kind, name), PACES[kind]) for kind, name in names if name is not None]
        if (full := await take_all(self.engine, counted)) is not None:
            log.warning("purchases_limited", by=full.split(":")[1], account_id=wanted.account_id)
            raise TooManyPurchasesError("Too many purchases were begun here lately; try again later.")
        return counted

    async def _find_same(self, key: RequestKey) -> Order | None:
        bound = await find_bound(self.engine, key)
        if bound is None:
            return None
        order, is_same = bound
        if not is_same:
            raise IdempotencyConflictError("This Idempotency-Key asked for another purchase before.")
        return order

    async def _write(
        self, wanted: PurchaseRequest, offer: Offer, currency: str, key: RequestKey | None
    ) -> Order | None:
        """A new order, or the one that the same wish has made before."""
        order = self._new_order(wanted, offer, currency)
        slot = _slot(wanted, offer, currency)
        changes = [Change(what="placed", who=wanted.caller, details={"via": wanted.caller.partition(":")[0]})]
        async with self.engine.begin() as connection:
            is_new = await insert_order(
                connection,
                order,
                changes,
                slot=slot,
                request_key=None if key is None else key.name,
                request_hash=None if key is None else key.content,
                look_after=self.look_after,
            )
            if is_new and key is not None and not await claim_key(connection, key, order.id):
                await connection.rollback()  # another request with this key has come to an order just now
                return None
        if is_new:
            metrics.ORDERS_PLACED.labels(order.kind.value).inc()
            log.info("order_placed", order_id=order.id, account_id=order.account_id, offer=offer.id)
            return order
        # Gone meanwhile where there is none: then there is room for a new one at the next turn.
        return await find_order(self.engine, slot=slot)

    def _new_order(self, wanted: PurchaseRequest, offer: Offer, currency: str) -> Order:
        now = datetime.now(UTC)
        return Order(
            id=new_order_id(),
            kind=OrderKind.PACKAGE if wanted.plan_id is None else OrderKind.SUBSCRIPTION,
            state=OrderState.CREATED,
            account_id=wanted.account_id,
            payer_id=wanted.payer_id,
            is_guests=wanted.payer.is_guest,
            package_id=offer.id if wanted.plan_id is None else None,
            plan=wanted.plan_id,
            tokens=offer.tokens,
            amount_minor=offer.prices[currency],
            currency=currency,
            locale=wanted.locale,
            livemode=self.checkouts.livemode,
            created_at=now,
            changed_at=now,
        )


def _key_of(wanted: PurchaseRequest, offer: Offer) -> RequestKey | None:
    if wanted.idempotency_key is None:
        return None
    kind = OrderKind.PACKAGE if wanted.plan_id is None else OrderKind.SUBSCRIPTION
    content = sha256(encode([kind, offer.id, wanted.account_id, wanted.payer_id, wanted.currency])).digest()
    return RequestKey(f"purchase:{_digest(wanted.caller, wanted.idempotency_key)}", content)


def _slot(wanted: PurchaseRequest, offer: Offer, currency: str) -> str:
    """What there is one open Checkout for: an account's subscription, whichever plan; a package for each payer."""
    if wanted.plan_id is not None:
        return f"plan:{_digest(wanted.account_id)}"
    guests = ["guest"] if wanted.payer.is_guest else []
    return f"package:{_digest(wanted.account_id, wanted.payer_id or '', offer.id, currency, *guests)}"


def _digest(*names: str) -> str:
    return sha256("\0".join(names).encode()).hexdigest()[:32]
