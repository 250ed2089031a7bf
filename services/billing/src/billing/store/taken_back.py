"""Refunds, disputes and warnings of an order, as they were seen last; those of a manual order stand here alone."""

from collections.abc import Sequence

from chassis.postgres import statements
from msgspec import structs
from sqlalchemy import Table, and_, func, not_, or_, select, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.domain.facts import OrderFacts, RefundFacts
from billing.domain.orders import Order
from billing.domain.outside import OUTSIDE
from billing.store.tables import disputes, refunds


async def store_taken_back(connection: AsyncConnection, order: Order, facts: OrderFacts) -> bool:
    """Write what was found of the order; whether any of it is new."""
    found_disputes = [
        {
            "id": dispute.id,
            "order_id": order.id,
            "kind": "dispute",
            "amount_minor": dispute.amount_minor,
            "currency": dispute.currency,
            "status": dispute.status,
            "created_at": dispute.created_at,
        }
        for dispute in facts.disputes
    ] + [
        {
            "id": warning.id,
            "order_id": order.id,
            "kind": "fraud_warning",
            "amount_minor": order.paid_minor or 0,
            "currency": order.currency,
            "status": "actionable" if warning.is_actionable else "over",
            "created_at": warning.created_at,
        }
        for warning in facts.fraud_warnings
    ]
    is_new = await _upsert(connection, refunds, [refund_row(order.id, refund) for refund in facts.refunds])
    return await _upsert(connection, disputes, found_disputes) or is_new


def refund_row(order_id: str, refund: RefundFacts) -> dict[str, object]:
    """What stands of a refund, whoever made it."""
    return {"order_id": order_id, **structs.asdict(refund)}


async def _upsert(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, object]]) -> bool:
    """Whether a row is new, or has another status or amount than before."""
    if not rows:
        return False
    inserting = insert(table).values([{**row, "changed_at": func.now()} for row in rows])
    new = inserting.excluded
    differs = or_(table.c.status != new.status, table.c.amount_minor != new.amount_minor)
    statement = inserting.on_conflict_do_update(
        index_elements=[table.c.id],
        set_={"status": new.status, "amount_minor": new.amount_minor, "changed_at": func.now()},
        where=and_(table.c.order_id == new.order_id, differs),
    ).returning(table.c.id)
    return len((await connection.execute(statement)).all()) > 0


async def known_ids(engine: AsyncEngine, order_id: str) -> set[str]:
    """Ids of all refunds, disputes and warnings that Stripe ever told of the order."""
    of_order = (
        select(table.c.id).where(table.c.order_id == order_id, not_(table.c.id.startswith(OUTSIDE, autoescape=True)))
        for table in (refunds, disputes)
    )
    async with statements(engine) as connection:
        return set((await connection.execute(union_all(*of_order))).scalars())


async def load_refunds(engine: AsyncEngine, order_id: str) -> tuple[RefundFacts, ...]:
    """The order's refunds as they are stored, first to last."""
    query = select(refunds).where(refunds.c.order_id == order_id).order_by(refunds.c.created_at, refunds.c.id)
    async with statements(engine) as connection:
        return tuple(
            RefundFacts(
                id=row.id,
                amount_minor=row.amount_minor,
                currency=row.currency,
                status=row.status,
                created_at=row.created_at,
            )
            for row in await connection.execute(query)
        )
