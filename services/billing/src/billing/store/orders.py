"""Orders and their life: written together, an order only by whoever read its last version."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from chassis.postgres import statements
from msgspec import Struct, convert, structs
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.domain.orders import Order
from billing.store.tables import order_changes, orders

_OWN_COLUMNS: Final = tuple(orders.c[field] for field in Order.__struct_fields__)


class Change(Struct, frozen=True, kw_only=True):
    """One line of an order's life: `what` happened, `who` or what brought it about, and `why` where a person said so.

    `details` are figures and ids that JSON can hold; never a secret.
    """

    what: str
    who: str
    why: str | None = None
    details: Mapping[str, object] = {}


class StoredChange(Change, frozen=True, kw_only=True):
    """As it stands in the table."""

    at: datetime


async def insert_order(connection: AsyncConnection, order: Order, changes: Sequence[Change], **beside: object) -> None:
    """Write a new order; `beside` are columns that are not of the order itself."""
    await connection.execute(insert(orders).values(**_columns(order), **beside))
    await _append_changes(connection, order, changes)


async def update_order(connection: AsyncConnection, order: Order, changes: Sequence[Change], **beside: object) -> bool:
    """Write what became of the order that was read as version `order.version`; False where it has moved on since."""
    values = _columns(structs.replace(order, version=order.version + 1)) | beside
    statement = update(orders).where(orders.c.id == order.id, orders.c.version == order.version).values(values)
    if (await connection.execute(statement)).rowcount == 0:
        return False
    await _append_changes(connection, order, changes)
    return True


async def load_order(engine: AsyncEngine, order_id: str) -> Order | None:
    """The order of that id."""
    return await find_order(engine, id=order_id)


async def find_order(engine: AsyncEngine, **columns: object) -> Order | None:
    """The order in which these columns, one of which is unique, have these values."""
    query = select(*_OWN_COLUMNS).where(*(orders.c[name] == value for name, value in columns.items()))
    async with statements(engine) as connection:
        row = (await connection.execute(query)).one_or_none()
    return None if row is None else order_of(row)


async def load_changes(engine: AsyncEngine, order_id: str) -> list[StoredChange]:
    """The order's life, first to last."""
    query = select(order_changes).where(order_changes.c.order_id == order_id).order_by(order_changes.c.id)
    async with statements(engine) as connection:
        rows = await connection.execute(query)
        return [StoredChange(at=row.at, what=row.what, who=row.who, why=row.why, details=row.details) for row in rows]


def order_of(row: Row[*tuple[Any, ...]]) -> Order:  # SQLAlchemy types a row by its columns, up to ten of them
    """The order in a row that has its columns."""
    return convert({field: getattr(row, field) for field in Order.__struct_fields__}, Order)


async def _append_changes(connection: AsyncConnection, order: Order, changes: Sequence[Change]) -> None:
    if changes:
        rows = [{"order_id": order.id, "at": order.changed_at, **structs.asdict(change)} for change in changes]
        await connection.execute(insert(order_changes), rows)


def _columns(order: Order) -> dict[str, object]:
    return structs.asdict(order)
