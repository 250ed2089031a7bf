"""What stands beside an order that an operator entered: how it was paid, who entered it and who approved it."""

from collections.abc import Sequence
from datetime import timedelta

from chassis.postgres import statements
from msgspec import Struct
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.domain.history import Change
from billing.domain.orders import Order
from billing.store.operator_tables import manual_orders
from billing.store.orders import insert_order, make_due, update_order
from billing.store.tables import orders


class Known(Struct, frozen=True):
    """An order that was entered under a key, and the hash of what was typed then."""

    order_id: str
    content_hash: bytes


class Approval(Struct, frozen=True):
    """Who entered an order, and who approved it; None: nobody yet."""

    entered_by: str
    approved_by: str | None


async def insert_manual_order(
    engine: AsyncEngine, order: Order, changes: Sequence[Change], *, paid_by: str, key: str, content_hash: bytes
) -> bool:
    """Write the order; False where one was entered under the key before."""
    beside = {"order_id": order.id, "paid_by": paid_by, "entered_by": changes[0].who}
    async with engine.begin() as connection:
        # Due at once: if this process dies now, the sweep goes on with it.
        is_new = await insert_order(
            connection, order, changes, request_key=key, request_hash=content_hash, look_after=timedelta(0)
        )
        if is_new:
            await connection.execute(insert(manual_orders).values(beside))
    return is_new


async def find_entered(engine: AsyncEngine, key: str) -> Known | None:
    """The order that was entered under the key."""
    query = select(orders.c.id, orders.c.request_hash).where(orders.c.request_key == key)
    async with statements(engine) as connection:
        row = (await connection.execute(query)).one_or_none()
    return None if row is None else Known(row.id, row.request_hash)


async def load_approval(engine: AsyncEngine, order_id: str) -> Approval | None:
    """None: no operator entered such an order."""
    query = select(manual_orders.c.entered_by, manual_orders.c.approved_by).where(manual_orders.c.order_id == order_id)
    async with statements(engine) as connection:
        row = (await connection.execute(query)).one_or_none()
    return None if row is None else Approval(row.entered_by, row.approved_by)


async def store_approval(engine: AsyncEngine, order: Order, change: Change) -> bool:
    """Write who approved the order with what it is then; False where it has moved on since it was read."""
    approving = (
        update(manual_orders)
        .where(manual_orders.c.order_id == order.id, manual_orders.c.approved_by.is_(None))
        .values(approved_by=change.who, approved_at=func.now())
    )
    async with engine.connect() as connection, connection.begin() as transaction:
        if not await update_order(connection, order, [change]) or ((await connection.execute(approving)).rowcount == 0):
            await transaction.rollback()
            return False
        await make_due(connection, order.id)
    return True
