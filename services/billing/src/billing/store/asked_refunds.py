"""Refunds that operators ask for: noted before Stripe is asked, then made or refused; or recorded without Stripe."""

from datetime import timedelta
from typing import Final

from chassis.postgres import statements
from msgspec import Struct
from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.domain.facts import RefundFacts
from billing.domain.history import Change
from billing.domain.orders import Order
from billing.store.orders import append_change, make_due
from billing.store.subscription_tables import subscription_invoices
from billing.store.tables import order_changes, refunds
from billing.store.taken_back import refund_row

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
    async with statements(engine) as connection:
        await append_change(connection, order_id, change)


async def name_refund(engine: AsyncEngine, order: Order, refund: RefundFacts, made: Change) -> None:
    """Keep who asked for a refund that Stripe made, and why, whether it was heard of before or not."""
    statement = insert(refunds).values(_row(order, refund, made))
    statement = statement.on_conflict_do_update(
        index_elements=[refunds.c.id], set_={"requested_by": made.who, "reason": made.why}
    )
    async with engine.begin() as connection:
        await connection.execute(statement)
        await append_change(connection, order.id, made)
        await make_due(connection, order.id)


async def record_refund(engine: AsyncEngine, order: Order, refund: RefundFacts, made: Change) -> bool:
    """Keep a refund that Stripe has no part in; False where somebody else recorded one of this id just now."""
    statement = insert(refunds).values(_row(order, refund, made)).on_conflict_do_nothing().returning(refunds.c.id)
    async with engine.begin() as connection:
        if (await connection.execute(statement)).one_or_none() is None:
            return False
        await append_change(connection, order.id, made)
        await make_due(connection, order.id)
    return True


def _row(order: Order, refund: RefundFacts, made: Change) -> dict[str, object]:
    asked = {"requested_by": made.who, "reason": made.why, "changed_at": func.now()}
    return refund_row(order.id, refund) | asked
