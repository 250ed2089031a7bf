"""Refunds that operators ask for: noted before Stripe is asked, then made or refused; or recorded without Stripe."""

from datetime import timedelta
from typing import Final

from chassis.postgres import statements
from msgspec import Struct, structs
from sqlalchemy import exists, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.domain.facts import RefundFacts
from billing.domain.history import Change
from billing.domain.orders import Order
from billing.store.orders import update_order
from billing.store.subscription_tables import subscription_invoices
from billing.store.tables import order_changes, orders, refunds

ASKED: Final = "refund_asked"
MADE: Final = "refund_made"
REFUSED: Final = "refund_refused"
KEYS_LIVE: Final = timedelta(hours=23)
"""Stripe knows a key for at least a day."""


class Asked(Struct, frozen=True, kw_only=True):
    """What was asked of Stripe under an idempotency key, and not answered; `typed` None: all that is left."""

    key: str
    typed: int | None
    amount_minor: int


async def find_payment(engine: AsyncEngine, order: Order) -> str | None:
    """Stripe's payment of the order; that of a subscription's is its first invoice's."""
    if order.payment_intent_id is not None or order.invoice_id is None:
        return order.payment_intent_id
    invoices = subscription_invoices.c
    query = select(invoices.payment_intent_id).where(invoices.id == order.invoice_id)
    async with statements(engine) as connection:
        found: str | None = (await connection.execute(query)).scalar_one_or_none()
    return found


async def find_unanswered(engine: AsyncEngine, order_id: str) -> Asked | None:
    """The last refund that was asked for, unless what came of it is known, or its key is too old to mean anything."""
    ended = order_changes.alias()
    answered = exists().where(
        ended.c.order_id == order_id,
        ended.c.what.in_((MADE, REFUSED)),
        ended.c.details["key"].astext == order_changes.c.details["key"].astext,
    )
    query = (
        select(order_changes.c.details)
        .where(
            order_changes.c.order_id == order_id,
            order_changes.c.what == ASKED,
            order_changes.c.at > func.now() - KEYS_LIVE,
            ~answered,
        )
        .order_by(order_changes.c.id.desc())
        .limit(1)
    )
    async with statements(engine) as connection:
        details = (await connection.execute(query)).scalar_one_or_none()
    if details is None:
        return None
    return Asked(key=details["key"], typed=details["typed"], amount_minor=details["amount_minor"])


async def count_refused(engine: AsyncEngine, order_id: str) -> int:
    """How many refunds of the order Stripe has refused."""
    query = select(func.count()).where(order_changes.c.order_id == order_id, order_changes.c.what == REFUSED)
    async with statements(engine) as connection:
        return int((await connection.execute(query)).scalar_one())


async def note(engine: AsyncEngine, order_id: str, change: Change) -> None:
    """Add a line to the order's life."""
    line = {"order_id": order_id, "at": func.now(), **structs.asdict(change)}
    async with statements(engine) as connection:
        await connection.execute(insert(order_changes).values(line))


async def name_refund(engine: AsyncEngine, order: Order, refund: RefundFacts, made: Change) -> None:
    """Keep who asked for a refund that Stripe made, and why, whether it was heard of before or not."""
    row = _row(order, refund) | {"requested_by": made.who, "reason": made.why}
    statement = insert_or(refunds).values(row)
    statement = statement.on_conflict_do_update(
        index_elements=[refunds.c.id], set_={"requested_by": made.who, "reason": made.why}
    )
    async with engine.begin() as connection:
        await connection.execute(statement)
        await _append(connection, order.id, made)
        await _have_looked_at(connection, order.id)


async def record_refund(engine: AsyncEngine, order: Order, refund: RefundFacts, made: Change) -> bool:
    """Keep a refund that Stripe has no part in; False where somebody else recorded one of this id just now."""
    row = _row(order, refund) | {"requested_by": made.who, "reason": made.why}
    statement = insert_or(refunds).values(row).on_conflict_do_nothing().returning(refunds.c.id)
    async with engine.begin() as connection:
        if (await connection.execute(statement)).one_or_none() is None:
            return False
        await _append(connection, order.id, made)
        await _have_looked_at(connection, order.id)
    return True


async def store_cancelled(engine: AsyncEngine, order: Order, change: Change) -> bool:
    """Write an order that is cancelled; False where it has moved on since it was read."""
    async with engine.begin() as connection:
        return await update_order(connection, order, [change])


def _row(order: Order, refund: RefundFacts) -> dict[str, object]:
    return {
        "id": refund.id,
        "order_id": order.id,
        "amount_minor": refund.amount_minor,
        "currency": refund.currency,
        "status": refund.status,
        "created_at": refund.created_at,
        "changed_at": func.now(),
    }


async def _append(connection: AsyncConnection, order_id: str, change: Change) -> None:
    line = {"order_id": order_id, "at": func.now(), **structs.asdict(change)}
    await connection.execute(insert(order_changes).values(line))


async def _have_looked_at(connection: AsyncConnection, order_id: str) -> None:
    """Due at once: if this process dies now, the sweep goes on with it."""
    await connection.execute(update(orders).where(orders.c.id == order_id).values(look_due_at=func.now()))
