"""Redeems a voucher's code: a use of it becomes an order that is paid with nothing, once, however often it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from billing import metrics
from billing.application.looking import OrderLooks
from billing.application.order_ids import new_order_id
from billing.domain.history import Change
from billing.domain.orders import Order, OrderKind, OrderState
from billing.domain.voucher_codes import MistypedCodeError, digest_of, read_code
from billing.domain.vouchers import Voucher, VoucherRefusal, refusal_of, tokens_expire_at
from billing.store import paces
from billing.store.orders import load_order
from billing.store.paces import Counted, Pace
from billing.store.redemptions import find_voucher, redeemed_orders, use_voucher

GUESSES_OF_ONE: Final = Pace(times=10, window=timedelta(hours=1))
"""Of an account, and of a link: with a million good codes, one is found in some 10^11 years."""
GUESSES_OF_AN_ADDRESS: Final = Pace(times=60, window=timedelta(hours=1))
"""A university stands behind one address: its people don't wait for one of them who guesses."""
MAX_RACES: Final = 8

log = structlog.get_logger()


class VoucherRefusedError(Exception):
    """The code gives nothing, or too many of others were tried."""

    def __init__(self, refusal: VoucherRefusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


class Redeemed(Struct, frozen=True, kw_only=True):
    """The order of a use; `is_new` False where the account had it before."""

    order: Order
    is_new: bool


class Redeemer(Struct, frozen=True, kw_only=True):
    """Who redeems: the account, the link that it came by and the address that it comes from, where they are known."""

    account_id: str
    link: str | None = None
    address: str | None = None

    def guesses(self) -> Sequence[Counted]:
        """What an attempt counts for."""
        by = (("account", self.account_id, GUESSES_OF_ONE), ("link", self.link, GUESSES_OF_ONE))
        counted = (*by, ("address", self.address, GUESSES_OF_AN_ADDRESS))
        return [(paces.key_of("voucher", kind, name), pace) for kind, name, pace in counted if name is not None]


@dataclass(frozen=True, kw_only=True)
class Redeeming:
    """`time_zone` is of the days at whose end tokens expire; the orders cost nothing in `currency`."""

    engine: AsyncEngine
    looks: OrderLooks
    time_zone: ZoneInfo
    currency: str
    livemode: bool

    async def redeem(self, typed: str, redeemer: Redeemer) -> Redeemed:
        """Give what the code is worth to the account.

        An attempt is counted before the code is looked up, so that many at once are no more than that many one after
        the other; one that finds a good code, or fails by itself, is given back.

        Raises:
            VoucherRefusedError: it gives nothing.
        """
        try:
            code = read_code(typed)
        except MistypedCodeError:
            raise self._refused(VoucherRefusal.MISTYPED, redeemer) from None
        guesses = redeemer.guesses()
        if await paces.take_all(self.engine, guesses) is not None:
            raise self._refused(VoucherRefusal.TOO_MANY_ATTEMPTS, redeemer)
        counts = False
        try:
            return await self._use(digest_of(code), redeemer)
        except VoucherRefusedError:
            counts = True
            raise
        finally:
            if not counts:  # a good code was no guess, nor is one that could not be looked up
                await paces.give_back_all(self.engine, guesses)

    async def _use(self, digest: bytes, redeemer: Redeemer) -> Redeemed:
        for _ in range(MAX_RACES):
            voucher = await find_voucher(self.engine, digest)
            had = await redeemed_orders(self.engine, voucher.voucher_id, redeemer.account_id) if voucher else []
            if voucher is not None and len(had) >= voucher.per_account:
                return Redeemed(order=await self._paid(had[-1], redeemer), is_new=False)
            if (refusal := refusal_of(voucher, datetime.now(UTC))) is not None or voucher is None:
                raise self._refused(refusal or VoucherRefusal.UNKNOWN, redeemer)
            order = self._order(voucher, redeemer)
            change = Change(
                what="redeemed",
                who=f"account:{redeemer.account_id}",
                details={"batch": voucher.batch_id, "voucher": voucher.voucher_id},
            )
            if await use_voucher(self.engine, voucher, len(had) + 1, order, [change]):
                metrics.REDEMPTIONS.labels("redeemed").inc()
                return Redeemed(order=await self._paid(order.id, redeemer), is_new=True)
        raise self._refused(VoucherRefusal.USED_UP, redeemer)

    async def _paid(self, order_id: str, redeemer: Redeemer) -> Order:
        order = await load_order(self.engine, order_id)
        if order is not None and order.state is OrderState.PAID:
            return order
        return await self.looks.look_anew(order_id, who=f"account:{redeemer.account_id}")

    def _order(self, voucher: Voucher, redeemer: Redeemer) -> Order:
        now = datetime.now(UTC)
        return Order(
            id=new_order_id(),
            kind=OrderKind.VOUCHER,
            account_id=redeemer.account_id,
            tokens=voucher.tokens,
            amount_minor=0,
            currency=self.currency,
            livemode=self.livemode,
            credits_expire_at=tokens_expire_at(now, voucher.expires_days, self.time_zone),
            reference=f"voucher:{voucher.batch_id}:{voucher.voucher_id}",
            created_at=now,
            changed_at=now,
        )

    def _refused(self, refusal: VoucherRefusal, redeemer: Redeemer) -> VoucherRefusedError:
        metrics.REDEMPTIONS.labels(refusal.value).inc()
        log.info("voucher_refused", account_id=redeemer.account_id, reason=refusal.value)
        return VoucherRefusedError(refusal)
