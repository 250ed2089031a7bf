"""Orders with what was paid, refunded and disputed of each, as records that can be handed out."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from chassis.postgres import statements
from msgspec import Struct
from sqlalchemy import ColumnElement, Row, Select, and_, exists, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.store.operator_tables import manual_orders
from billing.store.subscription_tables import subscription_invoices, subscriptions
from billing.store.tables import disputes, orders, refunds

PAGE: Final = 200
_invoice: Final = subscription_invoices.c


class Refund(Struct, frozen=True):
    """What was given back of an order, or is to be; `status` in Stripe's words, those of manual orders `succeeded`."""

    refund_id: str
    amount_minor: int
    currency: str
    status: str
    requested_by: str | None
    reason: str | None
    created_at: datetime
    changed_at: datetime


class Dispute(Struct, frozen=True):
    """A dispute of an order's payment, or an early warning of fraud."""

    dispute_id: str
    kind: str
    amount_minor: int
    currency: str
    status: str
    created_at: datetime
    changed_at: datetime


class Invoice(Struct, frozen=True):
    """One payment of the subscription that the order began: `plan` from `starts_at` until `ends_at`."""

    invoice_id: str
    status: str
    plan: str | None
    starts_at: datetime | None
    ends_at: datetime | None
    due_minor: int
    paid_minor: int
    refunded_minor: int
    disputed: bool
    currency: str
    created_at: datetime


class OrderRecord(Struct, frozen=True, kw_only=True):
    """One order: amounts in `currency`'s smallest unit; `entered_by` and `paid_by` of those that operators entered."""

    order_id: str
    source: str
    state: str
    account_id: str
    payer_id: str | None
    package_id: str | None
    plan: str | None
    tokens: int
    revoked_tokens: int
    amount_minor: int
    currency: str
    paid_minor: int | None
    discount_minor: int
    tax_minor: int
    refunded_minor: int
    disputed_minor: int
    created_at: datetime
    paid_at: datetime | None
    credits_expire_at: datetime | None
    paid_by: str | None
    reference: str | None
    entered_by: str | None
    approved_by: str | None
    reason: str | None
    quarantine_reason: str | None
    session_id: str | None
    payment_intent_id: str | None
    refunds: list[Refund]
    disputes: list[Dispute]
    invoices: list[Invoice]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which orders: `account_id` gets or pays; made, paid or given back from `starts_at` on and before `ends_at`."""

    account_id: str | None = None
    order_id: str | None = None
    state: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


async def load_records(engine: AsyncEngine, wanted: Wanted) -> AsyncIterator[OrderRecord]:
    """The orders, the oldest first, page by page."""
    after: tuple[datetime, str] | None = None
    async with statements(engine) as connection:
        while True:
            rows = (await connection.execute(_page(wanted, after))).all()
            of_page = [row.id for row in rows]
            refunded = await _by_order(connection, select(refunds).where(refunds.c.order_id.in_(of_page)))
            disputed = await _by_order(connection, select(disputes).where(disputes.c.order_id.in_(of_page)))
            invoiced = await _by_order(connection, _invoices().where(subscriptions.c.order_id.in_(of_page)))
            for row in rows:
                yield _record(row, refunded[row.id], disputed[row.id], invoiced[row.id])
            if len(rows) < PAGE:
                return
            after = rows[-1].created_at, rows[-1].id


async def is_account_in_orders(engine: AsyncEngine, account_id: str) -> bool:
    """Whether any order names the account, as the one that gets or that pays."""
    query = select(orders.c.id).where(*_conditions(Wanted(account_id=account_id), None)).limit(1)
    async with statements(engine) as connection:
        return (await connection.execute(query)).one_or_none() is not None


def _page(wanted: Wanted, after: tuple[datetime, str] | None) -> Select[Any]:
    manual = (manual_orders.c.paid_by, manual_orders.c.entered_by, manual_orders.c.approved_by)
    query = select(orders, *manual).outerjoin(manual_orders, manual_orders.c.order_id == orders.c.id)
    return query.where(*_conditions(wanted, after)).order_by(orders.c.created_at, orders.c.id).limit(PAGE)


def _conditions(wanted: Wanted, after: tuple[datetime, str] | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.account_id is not None:
        conditions.append(or_(orders.c.account_id == wanted.account_id, orders.c.payer_id == wanted.account_id))
    if wanted.order_id is not None:
        conditions.append(orders.c.id == wanted.order_id)
    if wanted.state is not None:
        conditions.append(orders.c.state == wanted.state)
    if wanted.starts_at is not None or wanted.ends_at is not None:
        conditions.append(_happened(wanted))
    if after is not None:
        conditions.append(tuple_(orders.c.created_at, orders.c.id) > after)
    return conditions


def _happened(wanted: Wanted) -> ColumnElement[bool]:
    """Something of it falls into the time: whoever keeps the books of a month wants the renewals of older orders."""

    def within(moment: ColumnElement[datetime]) -> ColumnElement[bool]:
        starts = () if wanted.starts_at is None else (moment >= wanted.starts_at,)
        return and_(*starts, *(() if wanted.ends_at is None else (moment < wanted.ends_at,)))

    return or_(
        within(orders.c.created_at),
        within(orders.c.paid_at),
        exists().where(refunds.c.order_id == orders.c.id, within(refunds.c.created_at)),
        exists().where(disputes.c.order_id == orders.c.id, within(disputes.c.created_at)),
        _invoices().where(subscriptions.c.order_id == orders.c.id, within(_invoice.first_seen_at)).exists(),
    )


def _invoices() -> Select[Any]:
    return select(subscription_invoices, subscriptions.c.order_id).join(
        subscriptions, subscriptions.c.id == subscription_invoices.c.subscription_id
    )


async def _by_order(connection: AsyncConnection, query: Select[Any]) -> dict[str, list[Row[Any]]]:
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in await connection.execute(query):
        found[row.order_id].append(row)
    return found


def _record(
    row: Row[Any], refunded: Sequence[Row[Any]], disputed: Sequence[Row[Any]], invoiced: Sequence[Row[Any]]
) -> OrderRecord:
    of_its_own = {"order_id", "source", "refunds", "disputes", "invoices"}
    same = {name: getattr(row, name) for name in OrderRecord.__struct_fields__ if name not in of_its_own}
    return OrderRecord(
        order_id=row.id,
        source=row.kind,
        refunds=[_refund(each) for each in sorted(refunded, key=_age)],
        disputes=[_dispute(each) for each in sorted(disputed, key=_age)],
        invoices=sorted(map(_invoice_line, invoiced), key=lambda each: (each.created_at, each.invoice_id)),
        **same,
    )


def _refund(row: Row[Any]) -> Refund:
    fields = {name: getattr(row, name) for name in Refund.__struct_fields__ if name != "refund_id"}
    return Refund(refund_id=row.id, **fields)


def _dispute(row: Row[Any]) -> Dispute:
    fields = {name: getattr(row, name) for name in Dispute.__struct_fields__ if name != "dispute_id"}
    return Dispute(dispute_id=row.id, **fields)


def _invoice_line(row: Row[Any]) -> Invoice:
    of_its_own = {"invoice_id", "created_at"}
    fields = {name: getattr(row, name) for name in Invoice.__struct_fields__ if name not in of_its_own}
    return Invoice(invoice_id=row.id, created_at=row.first_seen_at, **fields)


def _age(row: Row[Any]) -> tuple[datetime, str]:
    return row.created_at, row.id
