"""Writes orders and subscriptions of a made-up history, as they ended and with all that was said and done before."""

from collections.abc import Sequence
from datetime import datetime

from chassis import locks
from msgspec import Struct, structs
from sqlalchemy import exists, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.domain.facts import OrderFacts
from billing.domain.history import Change
from billing.domain.orders import Order
from billing.domain.subscription_facts import Invoice
from billing.domain.subscriptions import Subscription
from billing.store.operator_tables import manual_orders, redemptions, voucher_batches, vouchers
from billing.store.outbox import Said
from billing.store.subscription_tables import subscription_changes, subscription_invoices, subscriptions
from billing.store.subscriptions import columns_of, invoice_row
from billing.store.tables import order_changes, orders, outbox
from billing.store.taken_back import store_taken_back

type Dated = tuple[datetime, Change]


class InventedOrder(Struct, frozen=True, kw_only=True):
    """An order as it ended, its life, what was said of it, and `facts` with what was taken back of it.

    `paid_by` of one that an operator entered; `redeems` of one that a voucher became: a code's digest.
    """

    order: Order
    changes: Sequence[Dated]
    sayings: Sequence[Said] = ()
    facts: OrderFacts = OrderFacts()
    paid_by: str | None = None
    redeems: bytes | None = None


class InventedSubscription(Struct, frozen=True, kw_only=True):
    """A subscription as it ended, which nothing looks at anew."""

    subscription: Subscription
    version: int = 1
    invoices: Sequence[Invoice] = ()
    changes: Sequence[Dated] = ()
    sayings: Sequence[Said] = ()


class InventedBatch(Struct, frozen=True, kw_only=True):
    """One code that all may use once, which nobody knows: only its digest is given."""

    digest: bytes
    tokens: int
    uses: int
    expires_days: int
    reason: str
    made_by: str
    made_at: datetime


async def has_really_sold(connection: AsyncConnection) -> bool:
    """Whether any order is one of Stripe's live mode: then these are the books of real people."""
    return bool(await connection.scalar(select(exists().where(orders.c.livemode))))


async def write_batch(connection: AsyncConnection, batch: InventedBatch) -> None:
    """A batch of one voucher, unless there is one of that digest."""
    known = await connection.scalar(select(vouchers.c.id).where(vouchers.c.code_digest == batch.digest))
    if known is not None:
        return
    values = {
        "tokens": batch.tokens,
        "uses": batch.uses,
        "per_account": 1,
        "expires_days": batch.expires_days,
        "reason": batch.reason,
        "made_by": batch.made_by,
        "made_at": batch.made_at,
    }
    batch_id = await connection.scalar(insert(voucher_batches).values(values).returning(voucher_batches.c.id))
    await connection.execute(insert(vouchers).values(batch_id=batch_id, code_digest=batch.digest, used=0))


async def write_invented(
    connection: AsyncConnection,
    invented: Sequence[InventedOrder],
    subscribed: Sequence[InventedSubscription],
) -> None:
    """Add them to what is there, within the caller's transaction, in which little may follow.

    What was said is published once it is committed, as all is; so whoever hears it must have been told before.
    """
    # Whoever freezes in the middle keeps the locks of what follows from everybody no longer than this.
    await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '2s'"))
    for order in invented:
        await _write_order(connection, order)
    for subscription in subscribed:
        await _write_subscription(connection, subscription)
    told = [saying for order in invented for saying in order.sayings]
    told += [saying for each in subscribed for saying in each.sayings]
    if told:
        await connection.execute(select(func.pg_advisory_xact_lock(locks.BILLING_APPEND)))
        told.sort(key=_at)
        await connection.execute(insert(outbox), [saying.row for saying in told])


async def _write_order(connection: AsyncConnection, each: InventedOrder) -> None:
    order = each.order
    if each.redeems is not None:
        order = structs.replace(order, reference=await _redeem(connection, each.redeems))
    await connection.execute(insert(orders).values(structs.asdict(order)))
    rows = [{"order_id": order.id, "at": at, **structs.asdict(change)} for at, change in each.changes]
    await connection.execute(insert(order_changes), rows)
    await store_taken_back(connection, order, each.facts)
    if each.paid_by is not None:
        entered = {"order_id": order.id, "paid_by": each.paid_by, "entered_by": each.changes[0][1].who}
        await connection.execute(insert(manual_orders).values(entered))
    if each.redeems is not None:
        used = insert(redemptions).values(
            voucher_id=int((order.reference or "").rpartition(":")[2]),
            account_id=order.account_id,
            number=1,
            order_id=order.id,
            redeemed_at=order.created_at,
        )
        await connection.execute(used)


async def _redeem(connection: AsyncConnection, digest: bytes) -> str:
    counting = (
        vouchers.update()
        .where(vouchers.c.code_digest == digest)
        .values(used=vouchers.c.used + 1)
        .returning(vouchers.c.batch_id, vouchers.c.id)
    )
    batch_id, voucher_id = (await connection.execute(counting)).one()
    return f"voucher:{batch_id}:{voucher_id}"


async def _write_subscription(connection: AsyncConnection, each: InventedSubscription) -> None:
    subscription = each.subscription
    began, ended = each.changes[0][0], each.changes[-1][0]
    values = columns_of(subscription) | {"version": each.version, "created_at": began, "changed_at": ended}
    await connection.execute(insert(subscriptions).values(values))
    lines = [
        {"subscription_id": subscription.subscription_id, "at": at, **structs.asdict(change)}
        for at, change in each.changes
    ]
    await connection.execute(insert(subscription_changes), lines)
    invoices = [
        invoice_row(subscription.subscription_id, invoice) | {"first_seen_at": invoice.lines[0].starts_at}
        for invoice in each.invoices
    ]
    await connection.execute(insert(subscription_invoices), invoices)


def _at(saying: Said) -> datetime:
    return saying.at
