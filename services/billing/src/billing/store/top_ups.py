"""Auto top-up: what people set, what became of the orders it made, and whose turn it is to be looked at."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from chassis.postgres import statements
from contracts.events.billing import TopUpPause, TopUpPaused
from msgspec import Struct
from sqlalchemy import ARRAY, ColumnElement, Row, String, and_, any_, case, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.domain.history import Change
from billing.domain.orders import SWEPT_STATES, Order, OrderKind, OrderState
from billing.domain.top_ups import TopUp
from billing.store import due
from billing.store.orders import find_order_where, insert_order
from billing.store.outbox import Saying, append
from billing.store.subscription_tables import top_ups
from billing.store.tables import order_changes, orders

DECLINED: Final = "declined"
"""The line in an order's life that says why its payment was not made, and whether the card's owner is needed."""
PAYMENT_ENDED: Final = "payment_ended"
"""The line that says that nobody can pay it any more."""
UNFINISHED_FOR: Final = timedelta(days=3)
"""A payment that could not be ended by then is at no account or mode of Stripe's that we have."""
_OPEN: Final = tuple(state.value for state in SWEPT_STATES)
_IS_TOP_UP: Final = orders.c.kind == OrderKind.TOP_UP.value


class StoredTopUp(Struct, frozen=True):
    """What is set for an account, since when and by whom; `version` is what a write must still find."""

    top_up: TopUp
    is_on: bool
    set_at: datetime
    set_by: str
    version: int


class OrdersSoFar(Struct, frozen=True, kw_only=True):
    """What became of an account's top-ups; see `TopUpFacts`."""

    spent_minor: int
    has_open_order: bool
    taken_back: bool
    failures: int
    needs_owner: bool
    last_tried_at: datetime | None


async def set_top_up(engine: AsyncEngine, top_up: TopUp, *, who: str) -> None:
    """Set it anew and turn it on; what paused it is forgotten, and it is looked at soon."""
    values = {
        "account_id": top_up.account_id,
        "is_on": True,
        "payer_id": top_up.payer_id,
        "package_id": top_up.package_id,
        "currency": top_up.currency,
        "below_tokens": top_up.below_tokens,
        "monthly_cap_minor": top_up.monthly_cap_minor,
        "paused_for": None,
        "set_by": who,
        # By the clock that dates orders, with which it is compared.
        "set_at": datetime.now(UTC),
        "changed_at": datetime.now(UTC),
        "look_due_at": func.now(),
    }
    statement = upsert(top_ups).values(**values, version=1)
    changed = {name: value for name, value in values.items() if name != "account_id"}
    setting = statement.on_conflict_do_update(
        index_elements=[top_ups.c.account_id], set_=changed | {"version": top_ups.c.version + 1}
    )
    async with statements(engine) as connection:
        await connection.execute(setting)


async def turn_off(engine: AsyncEngine, account_id: str, *, who: str) -> None:
    """Buy nothing any more. A last look finishes what was begun."""
    statement = update(top_ups).where(top_ups.c.account_id == account_id, top_ups.c.is_on)
    now = datetime.now(UTC)
    off = statement.values(
        is_on=False, look_due_at=func.now(), set_by=who, set_at=now, changed_at=now, version=top_ups.c.version + 1
    )
    async with statements(engine) as connection:
        await connection.execute(off)


async def load_top_up(engine: AsyncEngine, account_id: str) -> StoredTopUp | None:
    """What is set for the account."""
    async with statements(engine) as connection:
        row = (await connection.execute(select(top_ups).where(top_ups.c.account_id == account_id))).one_or_none()
    return None if row is None else _stored(row)


async def load_accounts_topped_up(engine: AsyncEngine) -> frozenset[str]:
    """The accounts whose balance matters here."""
    query = select(top_ups.c.account_id).where(top_ups.c.is_on, top_ups.c.paused_for.is_(None))
    async with statements(engine) as connection:
        return frozenset((await connection.execute(query)).scalars())


async def make_due(engine: AsyncEngine, account_ids: Collection[str]) -> None:
    """Have the accounts looked at now rather than later."""
    listed = literal(list(account_ids), ARRAY(String))
    later = update(top_ups).where(
        top_ups.c.account_id == any_(listed), top_ups.c.is_on, top_ups.c.look_due_at > func.now()
    )
    async with statements(engine) as connection:
        await connection.execute(later.values(look_due_at=func.now()))


async def claim_due(engine: AsyncEngine, *, limit: int, lease: timedelta) -> list[str]:
    """Accounts that it is time to look at; see `store.due`."""
    return await due.claim(engine, top_ups.c.account_id, limit=limit, lease=lease)


async def look_again(engine: AsyncEngine, account_id: str, wait: timedelta) -> None:
    """Look after a while; not where it was paused just now, and at once where it is due again already."""
    statement = update(top_ups).where(top_ups.c.account_id == account_id, top_ups.c.look_due_at > func.now())
    async with statements(engine) as connection:
        await connection.execute(statement.values(look_due_at=func.now() + wait))


async def look_no_more(engine: AsyncEngine, account_id: str) -> None:
    """It is off or paused, and nothing of it is open; not where it was set anew meanwhile."""
    rests = or_(~top_ups.c.is_on, top_ups.c.paused_for.is_not(None))
    statement = update(top_ups).where(top_ups.c.account_id == account_id, rests)
    async with statements(engine) as connection:
        await connection.execute(statement.values(look_due_at=None))


async def load_orders_so_far(engine: AsyncEngine, stored: StoredTopUp, *, month_began_at: datetime) -> OrdersSoFar:
    """What became of the account's top-ups: since it was set, in this month, and at all."""
    since_set = orders.c.created_at >= stored.set_at
    counts_as_spent = and_(
        orders.c.created_at >= month_began_at,
        orders.c.currency == stored.top_up.currency,
        orders.c.state.in_((*_OPEN, OrderState.PAID.value, OrderState.QUARANTINED.value)),
    )
    last_paid = select(func.max(orders.c.created_at)).where(
        _IS_TOP_UP, orders.c.account_id == stored.top_up.account_id, orders.c.state == OrderState.PAID.value
    )
    failed_since = and_(
        since_set,
        orders.c.state == OrderState.FAILED.value,
        or_(last_paid.scalar_subquery().is_(None), orders.c.created_at > last_paid.scalar_subquery()),
    )
    is_taken_back = or_(orders.c.refunded_minor > 0, orders.c.disputed_minor > 0, orders.c.is_frozen)
    query = select(
        func.coalesce(func.sum(case((counts_as_spent, orders.c.amount_minor), else_=0)), 0),
        func.coalesce(func.bool_or(orders.c.state.in_(_OPEN)), False),
        func.coalesce(func.bool_or(and_(since_set, is_taken_back)), False),
        func.count().filter(failed_since),
        func.coalesce(func.bool_or(and_(failed_since, _has_line(DECLINED, needs_owner=True))), False),
        func.max(orders.c.created_at),
    ).where(_IS_TOP_UP, orders.c.account_id == stored.top_up.account_id)
    async with statements(engine) as connection:
        spent, is_open, taken_back, failures, needs_owner, last = (await connection.execute(query)).one()
    return OrdersSoFar(
        spent_minor=int(spent),
        has_open_order=is_open,
        taken_back=taken_back,
        failures=failures,
        needs_owner=needs_owner,
        last_tried_at=last,
    )


async def find_unfinished_order(engine: AsyncEngine, account_id: str) -> Order | None:
    """The account's top-up that is neither paid nor over, or that failed with a payment which may not be ended yet."""
    is_payable = and_(
        orders.c.state == OrderState.FAILED.value,
        orders.c.payment_intent_id.is_not(None),
        orders.c.created_at > func.now() - UNFINISHED_FOR,
        ~_has_line(PAYMENT_ENDED),
    )
    is_unfinished = or_(orders.c.state.in_(_OPEN), is_payable)
    return await find_order_where(engine, _IS_TOP_UP, orders.c.account_id == account_id, is_unfinished)


async def begin_purchase(engine: AsyncEngine, stored: StoredTopUp, order: Order, lines: Sequence[Change]) -> bool:
    """Write the order of one purchase; False where another is open, or it was set anew or turned off meanwhile."""
    still = update(top_ups).where(
        top_ups.c.account_id == order.account_id,
        top_ups.c.version == stored.version,
        top_ups.c.is_on,
        top_ups.c.paused_for.is_(None),
    )
    async with engine.begin() as connection:
        if (await connection.execute(still.values(changed_at=func.now()))).rowcount == 0:
            return False
        return await insert_order(connection, order, lines)


async def pause(engine: AsyncEngine, stored: StoredTopUp, cause: TopUpPause) -> bool:
    """Buy nothing any more and say so, once; False where it was paused, set anew or turned off meanwhile."""
    top_up = stored.top_up
    paused = (
        update(top_ups)
        .where(top_ups.c.account_id == top_up.account_id, top_ups.c.version == stored.version, top_ups.c.is_on)
        .where(top_ups.c.paused_for.is_(None))
        .values(paused_for=cause.value, look_due_at=None, changed_at=func.now(), version=top_ups.c.version + 1)
    )
    saying = Saying(
        account_id=top_up.account_id,
        subject_id=top_up.account_id,
        data=TopUpPaused(package_id=top_up.package_id, cause=cause),
    )
    async with engine.begin() as connection:
        if (await connection.execute(paused)).rowcount == 0:
            return False
        await append(connection, [saying])
    return True


def _has_line(what: str, **details: bool) -> ColumnElement[bool]:
    line = select(order_changes.c.id).where(order_changes.c.order_id == orders.c.id, order_changes.c.what == what)
    return line.where(order_changes.c.details.contains(details)).exists()


def _stored(row: Row[Any]) -> StoredTopUp:  # Any: SQLAlchemy types a row by its columns, up to ten of them
    top_up = TopUp(
        account_id=row.account_id,
        payer_id=row.payer_id,
        package_id=row.package_id,
        currency=row.currency,
        below_tokens=row.below_tokens,
        monthly_cap_minor=row.monthly_cap_minor,
        paused_for=None if row.paused_for is None else TopUpPause(row.paused_for),
    )
    return StoredTopUp(top_up, row.is_on, row.set_at, row.set_by, row.version)
