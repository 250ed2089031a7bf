"""Subscriptions and their life: written by whoever read their last version, one of an account's giving a plan."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final

from chassis.postgres import statements
from msgspec import Struct, structs
from sqlalchemy import Row, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.domain.history import Change
from billing.domain.orders import Order, OrderKind, OrderState
from billing.domain.subscription_facts import Invoice, StripeStatus
from billing.domain.subscriptions import Doubt, Given, Standing, Subscription
from billing.store import due
from billing.store.orders import find_order_where
from billing.store.outbox import Saying, append
from billing.store.subscription_tables import ONE_GIVING, subscription_changes, subscription_invoices, subscriptions
from billing.store.tables import orders

UNKNOWN_FOR: Final = timedelta(days=3)
"""After that whoever reconciles finds it; Stripe may have lost it, and is asked about it no more."""
AWAITED_FOR: Final = timedelta(days=14)
"""A boleto that nobody has paid by then keeps nobody from a plan, whatever Stripe makes of its subscription."""
_FINAL: Final = tuple(status.value for status in StripeStatus if status.is_final)


class Stored(Struct, frozen=True):
    """A subscription as it was read, and the version that a write must still find."""

    subscription: Subscription
    version: int


class Written(Struct, frozen=True):
    """What is to be written of one subscription."""

    read: Stored
    after: Subscription
    lines: Sequence[Change]
    look_again: timedelta | None
    doubt: Doubt | None = None


async def load_subscription(engine: AsyncEngine, subscription_id: str) -> Stored | None:
    """The subscription of Stripe's id."""
    query = select(subscriptions).where(subscriptions.c.id == subscription_id)
    async with statements(engine) as connection:
        row = (await connection.execute(query)).one_or_none()
    return None if row is None else _stored(row)


async def load_rivals(engine: AsyncEngine, account_id: str, *, but: str) -> list[Stored]:
    """The account's other subscriptions that could give a plan: of sole standing, and not ended."""
    query = select(subscriptions).where(
        subscriptions.c.account_id == account_id,
        subscriptions.c.id != but,
        subscriptions.c.standing == Standing.SOLE.value,
        or_(subscriptions.c.status.not_in(_FINAL), subscriptions.c.plan.is_not(None)),
    )
    async with statements(engine) as connection:
        return [_stored(row) for row in await connection.execute(query)]


async def find_giving(engine: AsyncEngine, account_id: str) -> Subscription | None:
    """The subscription that gives the account its plan now."""
    query = select(subscriptions).where(subscriptions.c.account_id == account_id, subscriptions.c.plan.is_not(None))
    async with statements(engine) as connection:
        row = (await connection.execute(query)).one_or_none()
    return None if row is None else _stored(row).subscription


async def find_awaited_order(engine: AsyncEngine, account_id: str) -> Order | None:
    """The account's order for a subscription of which a payment may be on its way."""
    return await find_order_where(
        engine,
        orders.c.account_id == account_id,
        orders.c.kind == OrderKind.SUBSCRIPTION.value,
        orders.c.state == OrderState.PENDING.value,
        orders.c.created_at > func.now() - AWAITED_FOR,
    )


async def insert_subscription(engine: AsyncEngine, subscription: Subscription, *, who: str) -> None:
    """Write one that was not known; nothing where it is by now. It is to be looked at."""
    values = columns_of(subscription) | {"version": 1, "look_due_at": func.now()}
    insertion = upsert(subscriptions).values(**values).on_conflict_do_nothing().returning(subscriptions.c.id)
    async with engine.begin() as connection:
        if (await connection.execute(insertion)).one_or_none() is not None:
            line = Change(what="known", who=who, details={"order_id": subscription.order_id})
            await _append_lines(connection, subscription.subscription_id, [line])


async def write_look(
    engine: AsyncEngine,
    written: Sequence[Written],
    invoices: Iterable[Invoice],
    sayings: Sequence[Saying],
    *,
    cause: str | None = None,
) -> bool:
    """Write what a look found, all of it or nothing; False where any of the subscriptions has moved on meanwhile.

    The first of `written` is the one that was looked at, whose `invoices` these are.
    """
    own, *others = written
    ids = [each.after.subscription_id for each in written]
    # In one order, whoever looks at which: two that replace each other would wait for each other.
    locking = select(subscriptions.c.id).where(subscriptions.c.id.in_(ids)).order_by(subscriptions.c.id)
    try:
        async with engine.begin() as connection:
            await connection.execute(locking.with_for_update())
            has_news = await _record_invoices(connection, own.after.subscription_id, invoices)
            for each in (*others, own):  # what gives way makes room first
                if not await _update(connection, each, has_news=has_news and each is own):
                    await connection.rollback()
                    return False
                await _append_lines(connection, each.after.subscription_id, each.lines)
            await append(connection, sayings, cause=cause)
    except IntegrityError as error:
        if ONE_GIVING not in str(error.orig):
            raise
        return False
    return True


async def leave_to_people(engine: AsyncEngine, subscription_id: str, lines: Sequence[Change]) -> None:
    """Note what could not be done at Stripe; nothing tries again by itself."""
    async with engine.begin() as connection:
        await connection.execute(
            update(subscriptions).where(subscriptions.c.id == subscription_id).values(look_due_at=None)
        )
        await _append_lines(connection, subscription_id, lines)


async def look_later(engine: AsyncEngine, subscription_id: str, wait: timedelta) -> None:
    """Look again after a while, as nothing came of it now."""
    statement = update(subscriptions).where(subscriptions.c.id == subscription_id)
    async with statements(engine) as connection:
        await connection.execute(statement.values(look_due_at=func.now() + wait))


async def claim_due(engine: AsyncEngine, *, limit: int, lease: timedelta) -> list[str]:
    """Subscriptions that it is time to look at anew; see `store.due`."""
    return await due.claim(engine, subscriptions.c.id, limit=limit, lease=lease)


async def find_unknown(engine: AsyncEngine, *, limit: int, but_not: Iterable[str] = ()) -> list[str]:
    """Subscriptions that orders of late name and nobody has looked at: whoever was about to was stopped."""
    query = (
        select(orders.c.subscription_id)
        .outerjoin(subscriptions, subscriptions.c.id == orders.c.subscription_id)
        .where(
            orders.c.subscription_id.is_not(None),
            orders.c.kind == OrderKind.SUBSCRIPTION.value,
            orders.c.changed_at > func.now() - UNKNOWN_FOR,
            subscriptions.c.id.is_(None),
            orders.c.subscription_id.not_in([*but_not]),
        )
        .order_by(orders.c.changed_at.desc())
        .limit(limit)
    )
    async with statements(engine) as connection:
        return list((await connection.execute(query)).scalars())


async def find_of_payment(engine: AsyncEngine, payment_intent_id: str) -> str | None:
    """The subscription that a payment was for."""
    query = select(subscription_invoices.c.subscription_id).where(
        subscription_invoices.c.payment_intent_id == payment_intent_id
    )
    async with statements(engine) as connection:
        return (await connection.execute(query.limit(1))).scalar_one_or_none()


async def _update(connection: AsyncConnection, written: Written, *, has_news: bool) -> bool:
    """False where it has moved on; `has_news`: of its invoices, which whoever read them earlier must not write back."""
    before, after = written.read.subscription, written.after
    wait = written.look_again
    values: dict[str, Any] = {  # Any: values of columns, and expressions
        "look_due_at": None if wait is None else func.now() + wait,
        "looked_at": func.now(),
        "doubt": written.doubt,
    }
    if after != before or has_news:
        values |= columns_of(after) | {"version": written.read.version + 1, "changed_at": func.now()}
    statement = update(subscriptions).where(
        subscriptions.c.id == after.subscription_id, subscriptions.c.version == written.read.version
    )
    return (await connection.execute(statement.values(**values))).rowcount == 1


async def _append_lines(connection: AsyncConnection, subscription_id: str, lines: Iterable[Change]) -> None:
    rows = [{"subscription_id": subscription_id, **structs.asdict(line)} for line in lines]
    if rows:
        await connection.execute(insert(subscription_changes), rows)


async def _record_invoices(connection: AsyncConnection, subscription_id: str, invoices: Iterable[Invoice]) -> bool:
    """Whether any is new, or not as it was."""
    rows = [invoice_row(subscription_id, invoice) for invoice in invoices]
    if not rows:
        return False
    statement = upsert(subscription_invoices).values(rows)
    facts = ("status", "due_minor", "paid_minor", "refunded_minor", "disputed", "payment_intent_id")
    table, new = subscription_invoices.c, statement.excluded
    recording = statement.on_conflict_do_update(
        index_elements=[table.id],
        set_={name: new[name] for name in facts} | {"changed_at": func.now()},
        where=or_(*(table[name].is_distinct_from(new[name]) for name in facts)),
    )
    return len((await connection.execute(recording.returning(table.id))).all()) > 0


def invoice_row(subscription_id: str, invoice: Invoice) -> dict[str, object]:
    """What stands of an invoice."""
    bought = [line for line in invoice.lines if line.amount_minor > 0]
    return {
        "id": invoice.invoice_id,
        "subscription_id": subscription_id,
        "status": invoice.status.value,
        "plan": bought[-1].plan if bought else None,
        "starts_at": min((line.starts_at for line in bought), default=None),
        "ends_at": max((line.ends_at for line in bought), default=None),
        "due_minor": invoice.due_minor,
        "paid_minor": invoice.paid_minor,
        "refunded_minor": invoice.refunded_minor,
        "disputed": invoice.disputed,
        "currency": invoice.currency,
        "payment_intent_id": invoice.payment_intent_id,
    }


def columns_of(subscription: Subscription) -> dict[str, object]:
    """What stands of a subscription, but for whose turn it is."""
    columns = structs.asdict(subscription)
    given = columns.pop("given")
    columns["id"] = columns.pop("subscription_id")
    return columns | {
        "plan": None if given is None else given.plan,
        "given_starts_at": None if given is None else given.starts_at,
        "given_ends_at": None if given is None else given.ends_at,
    }


def _stored(row: Row[Any]) -> Stored:  # Any: SQLAlchemy types a row by its columns, up to ten of them
    given = None
    if row.plan is not None:
        given = Given(plan=row.plan, starts_at=row.given_starts_at, ends_at=row.given_ends_at)
    subscription = Subscription(
        subscription_id=row.id,
        account_id=row.account_id,
        order_id=row.order_id,
        customer_id=row.customer_id,
        payer_id=row.payer_id,
        status=StripeStatus(row.status),
        standing=Standing(row.standing),
        given=given,
        told_starts_at=row.told_starts_at,
        reminders=row.reminders,
        reminded_ends_at=row.reminded_ends_at,
        cancel_at=row.cancel_at,
        revision=row.revision,
    )
    return Stored(subscription, row.version)
