"""Which order a request's Idempotency-Key came to: the one that was written for it, or one that was open already."""

from datetime import timedelta
from typing import Final

from chassis.postgres import statements
from msgspec import Struct
from sqlalchemy import Column, DateTime, LargeBinary, String, Table, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.domain.orders import Order
from billing.store.orders import find_order, request_hash_of
from billing.store.tables import metadata

KEPT: Final = timedelta(days=90)
"""Nobody sends a request again after that. An order that was written for a key knows it for good."""
PRUNED_AT_ONCE: Final = 1_000

request_keys = Table(
    "request_keys",
    metadata,
    Column("request_key", String(160), primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("order_id", String(64), nullable=False),
    Column("bound_at", DateTime(timezone=True), nullable=False),
)


class RequestKey(Struct, frozen=True):
    """Who asked with which Idempotency-Key, and a hash of for what."""

    name: str
    content: bytes


async def claim_key(connection: AsyncConnection, key: RequestKey, order_id: str) -> bool:
    """Bind the key to an order; False where it is bound. Others with the same key wait for the transaction's end."""
    claiming = insert(request_keys).values(
        request_key=key.name, request_hash=key.content, order_id=order_id, bound_at=func.now()
    )
    claimed = await connection.execute(claiming.on_conflict_do_nothing().returning(request_keys.c.request_key))
    return claimed.one_or_none() is not None


async def bind_key(engine: AsyncEngine, key: RequestKey, order_id: str) -> bool:
    """Whether the key is bound to that order now; another request may have come to another one."""
    async with engine.begin() as connection:
        await claim_key(connection, key, order_id)
    query = select(request_keys.c.order_id).where(request_keys.c.request_key == key.name)
    async with statements(engine) as connection:
        return (await connection.execute(query)).scalar_one_or_none() == order_id


async def find_bound(engine: AsyncEngine, key: RequestKey) -> tuple[Order, bool] | None:
    """The order that the key is bound to, and whether it asked for the same then."""
    query = select(request_keys.c.order_id, request_keys.c.request_hash).where(request_keys.c.request_key == key.name)
    async with statements(engine) as connection:
        bound = (await connection.execute(query)).one_or_none()
    if bound is not None and (order := await find_order(engine, id=bound.order_id)) is not None:
        return order, bound.request_hash == key.content
    # Written by an older version, or so long ago that its line was let go of.
    order = await find_order(engine, request_key=key.name)
    return None if order is None else (order, await request_hash_of(engine, order.id) == key.content)


async def delete_old(engine: AsyncEngine) -> int:
    """Delete a page of lines that are older than `KEPT`; returns how many."""
    old = select(request_keys.c.request_key).where(request_keys.c.bound_at < func.now() - KEPT).limit(PRUNED_AT_ONCE)
    async with statements(engine) as connection:
        return (await connection.execute(delete(request_keys).where(request_keys.c.request_key.in_(old)))).rowcount
