"""Orders and their life: written together, an order only by whoever read its last version."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from chassis.postgres import statements
from msgspec import convert, structs
from sqlalchemy import ColumnElement, Row, case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.domain.history import Change
from billing.domain.orders import SWEPT_STATES, Order, OrderState
from billing.store import due
from billing.store.tables import order_changes, orders

_HOLD_THEIR_SLOT: Final = (OrderState.CREATED, OrderState.OPEN)
_OWN_COLUMNS: Final = tuple(orders.c[field] for field in Order.__struct_fields__)


class StoredChange(Change, frozen=True, kw_only=True):
    """As it stands in the table."""

    at: datetime


async def insert_order(
    connection: AsyncConnection,
    order: Order,
    changes: Sequence[Change],
    *,
    slot: str | None = None,
    request_key: str | None = None,
    request_hash: bytes | None = None,
    look_after: timedelta | None = None,
) -> bool:
    """Write a new order; False where its id, its slot or its request's key is taken, and nothing is written.

    `slot` names what there shall be one open Checkout for; `request_key` who asked under which Idempotency-Key, and
    `request_hash` for what. The sweep looks at it `look_after` from now, if at all.
    """
    beside = {"slot": slot, "request_key": request_key, "request_hash": request_hash}
    look = {"look_due_at": None if look_after is None else func.now() + look_after}
    inserting = insert(orders).values(**structs.asdict(order), **beside, **look).on_conflict_do_nothing()
    if (await connection.execute(inserting.returning(orders.c.id))).one_or_none() is None:
        return False
    await _append_changes(connection, order, changes)
    return True


async def update_order(connection: AsyncConnection, order: Order, changes: Sequence[Change]) -> bool:
    """Write what became of the order that was read as version `order.version`; False where it has moved on since."""
    values: dict[str, object] = structs.asdict(structs.replace(order, version=order.version + 1))
    if order.state not in _HOLD_THEIR_SLOT:
        values["slot"] = None
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
    return await find_order_where(engine, *(orders.c[name] == value for name, value in columns.items()))


async def find_order_where(engine: AsyncEngine, *conditions: ColumnElement[bool]) -> Order | None:
    """The order of which these are true; of several the oldest."""
    query = select(*_OWN_COLUMNS).where(*conditions).order_by(orders.c.created_at).limit(1)
    async with statements(engine) as connection:
        row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else convert({field: row[field] for field in Order.__struct_fields__}, Order)


async def claim_due(engine: AsyncEngine, *, limit: int, lease: timedelta) -> list[str]:
    """Orders that it is time to look at anew; see `store.due`."""
    return await due.claim(engine, orders.c.id, limit=limit, lease=lease)


async def make_due(connection: AsyncConnection, order_id: str) -> None:
    """Have the order looked at at once: if this process dies now, the sweep goes on with it."""
    await connection.execute(update(orders).where(orders.c.id == order_id).values(look_due_at=func.now()))


async def load_created_at(engine: AsyncEngine, order_id: str) -> datetime:
    """When the order was placed, whatever else its row holds."""
    async with statements(engine) as connection:
        query = select(orders.c.created_at).where(orders.c.id == order_id)
        created_at: datetime = (await connection.execute(query)).scalar_one()
    return created_at


async def look_later(engine: AsyncEngine, order_id: str, wait: timedelta | None) -> None:
    """Have it looked at after that; None: not any more, unless something is heard of it."""
    due_at = None if wait is None else func.now() + wait
    async with statements(engine) as connection:
        await connection.execute(update(orders).where(orders.c.id == order_id).values(look_due_at=due_at))


async def looked_at(connection: AsyncConnection, order: Order, *, again_after: timedelta) -> None:
    """Note that the order was looked at just now; the next time is due once `again_after` is over, if any is."""
    is_due = orders.c.state.in_(SWEPT_STATES)
    again = case((is_due, func.now() + again_after), else_=None)
    await connection.execute(
        update(orders).where(orders.c.id == order.id).values(looked_at=func.now(), look_due_at=again)
    )


async def may_look(engine: AsyncEngine, order_id: str, *, after: timedelta) -> bool:
    """Whether nobody has looked at the order, or begun to, since `after` ago; then it counts as begun."""
    is_long_ago = or_(orders.c.looked_at.is_(None), orders.c.looked_at <= func.now() - after)
    statement = update(orders).where(orders.c.id == order_id, is_long_ago).values(looked_at=func.now())
    async with statements(engine) as connection:
        return (await connection.execute(statement)).rowcount > 0


async def note_once(engine: AsyncEngine, order_id: str, change: Change, key: str) -> bool:
    """Add a line to the order's life unless one of the same `what` and `key` is there; whether it was added."""
    async with engine.begin() as connection:
        # Whoever notes the same waits for the row, and then finds the line.
        await connection.execute(select(orders.c.id).where(orders.c.id == order_id).with_for_update())
        known = select(order_changes.c.id).where(
            order_changes.c.order_id == order_id,
            order_changes.c.what == change.what,
            order_changes.c.details["key"].astext == key,
        )
        if (await connection.execute(known.limit(1))).one_or_none() is not None:
            return False
        await append_change(connection, order_id, structs.replace(change, details={**change.details, "key": key}))
    return True


async def request_hash_of(engine: AsyncEngine, order_id: str) -> bytes | None:
    """What the request asked for that wrote the order."""
    async with statements(engine) as connection:
        query = select(orders.c.request_hash).where(orders.c.id == order_id)
        return (await connection.execute(query)).scalar_one_or_none()


async def load_changes(engine: AsyncEngine, order_id: str) -> list[StoredChange]:
    """The order's life, first to last."""
    query = select(order_changes).where(order_changes.c.order_id == order_id).order_by(order_changes.c.id)
    async with statements(engine) as connection:
        return [stored_change(row) for row in await connection.execute(query)]


def stored_change(row: Row[Any]) -> StoredChange:  # SQLAlchemy types a row by its columns, up to ten of them
    """A line of a life, as its table has it."""
    return StoredChange(at=row.at, what=row.what, who=row.who, why=row.why, details=row.details)


async def append_change(connection: AsyncConnection, order_id: str, change: Change) -> None:
    """Add a line to the order's life, the order being as it was."""
    await connection.execute(insert(order_changes).values(order_id=order_id, at=func.now(), **structs.asdict(change)))


async def _append_changes(connection: AsyncConnection, order: Order, changes: Sequence[Change]) -> None:
    if changes:
        rows = [{"order_id": order.id, "at": order.changed_at, **structs.asdict(change)} for change in changes]
        await connection.execute(insert(order_changes), rows)
