"""What a comparison with Stripe reads: orders of a span of time, disputes, what is odd, events still to be handled."""

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import Final

from chassis.postgres import statements
from msgspec import Struct
from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.domain.facts import DisputeFacts
from billing.domain.orders import OrderKind
from billing.domain.subscription_facts import InvoiceStatus, StripeStatus
from billing.store.subscription_tables import subscription_invoices, subscriptions
from billing.store.tables import disputes, orders, webhook_events

PAGE: Final = 500
_AT_STRIPE: Final = (OrderKind.PACKAGE, OrderKind.TOP_UP, OrderKind.SUBSCRIPTION)


async def orders_since(engine: AsyncEngine, since: datetime, *, livemode: bool) -> AsyncIterator[list[str]]:
    """Ids of the orders since then that Stripe has a part in, the oldest first, page by page."""
    after = (since, "")
    while True:
        query = (
            select(orders.c.id, orders.c.created_at)
            .where(
                orders.c.kind.in_(_AT_STRIPE),
                orders.c.livemode == livemode,
                tuple_(orders.c.created_at, orders.c.id) > after,
            )
            .order_by(orders.c.created_at, orders.c.id)
            .limit(PAGE)
        )
        async with statements(engine) as connection:
            rows = (await connection.execute(query)).all()
        yield [row.id for row in rows]
        if len(rows) < PAGE:
            return
        after = (rows[-1].created_at, rows[-1].id)


async def load_disputes(engine: AsyncEngine, order_id: str) -> list[DisputeFacts]:
    """The order's disputes as they are stored."""
    query = select(disputes).where(disputes.c.order_id == order_id, disputes.c.kind == "dispute")
    async with statements(engine) as connection:
        return [
            DisputeFacts(
                id=row.id,
                amount_minor=row.amount_minor,
                currency=row.currency,
                status=row.status,
                is_withdrawn=False,  # not stored: what was done by it stands in the order
                created_at=row.created_at,
            )
            for row in await connection.execute(query)
        ]


class Doubtful(Struct, frozen=True):
    """A subscription of which the last look concluded nothing, and why."""

    subscription_id: str
    order_id: str
    doubt: str


async def load_doubtful(engine: AsyncEngine) -> list[Doubtful]:
    """All subscriptions that are in doubt."""
    columns = subscriptions.c
    query = select(columns.id, columns.order_id, columns.doubt).where(columns.doubt.is_not(None)).order_by(columns.id)
    async with statements(engine) as connection:
        return [Doubtful(row.id, row.order_id, row.doubt) for row in await connection.execute(query)]


class InVain(Struct, frozen=True):
    """A paid invoice of a subscription that ended before anybody saw that it was; amounts in minor units."""

    invoice_id: str
    order_id: str
    paid_minor: int
    currency: str


async def load_paid_in_vain(engine: AsyncEngine, since: datetime) -> list[InVain]:
    """Those seen since then of which neither a plan was given nor the money given back."""
    invoices, columns, given = subscription_invoices.c, subscriptions.c, subscription_invoices.alias("given")
    # Of the last period that was told; what was paid within it prolonged or raised that one.
    given_until = (
        select(func.max(given.c.ends_at))
        .where(given.c.subscription_id == columns.id, given.c.starts_at == columns.told_starts_at)
        .scalar_subquery()
    )
    query = (
        select(invoices.id, columns.order_id, invoices.paid_minor, invoices.currency)
        .join(subscriptions, columns.id == invoices.subscription_id)
        .where(
            columns.status.in_([each.value for each in StripeStatus if each.is_final]),
            or_(columns.told_starts_at.is_(None), invoices.starts_at >= given_until),
            columns.doubt.is_(None),
            invoices.status == InvoiceStatus.PAID.value,
            invoices.refunded_minor < invoices.paid_minor,
            invoices.disputed.is_(False),
            invoices.first_seen_at >= since,
        )
        .order_by(invoices.id)
    )
    async with statements(engine) as connection:
        return [InVain(*row) for row in await connection.execute(query)]


async def live_subscriptions(engine: AsyncEngine) -> list[str]:
    """Ids of the subscriptions that may still change, whenever they began."""
    columns = subscriptions.c
    query = select(columns.id).where(or_(columns.look_due_at.is_not(None), columns.plan.is_not(None)))
    async with statements(engine) as connection:
        return list((await connection.execute(query.order_by(columns.id))).scalars())


async def count_waiting(engine: AsyncEngine, event_ids: Collection[str]) -> int:
    """How many of these events of Stripe's are not handled yet."""
    query = select(func.count()).where(webhook_events.c.id.in_(event_ids), webhook_events.c.status == "waiting")
    async with statements(engine) as connection:
        return int((await connection.execute(query)).scalar_one())
