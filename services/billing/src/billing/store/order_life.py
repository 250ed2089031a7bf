"""What all services know of one order and its account: reads across their schemas, which operators alone may."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from chassis.postgres import statements
from contracts.events.billing import order_lot_id
from msgspec import Struct, json
from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.domain.order_life import Credited, Received, Said
from billing.domain.orders import Order
from billing.store.orders import StoredChange, stored_change
from billing.store.subscription_tables import subscription_changes, subscriptions
from billing.store.tables import outbox, relay, webhook_events

MOST: Final = 200
"""Rows of each kind that are shown; who has more has other questions."""

_LEDGER_EVENTS: Final = text("""
    SELECT id::text AS id, type, recorded_at, data FROM ledger.events
    WHERE account_id = :account AND type LIKE 'solaris.ledger.credits\\_%' AND recorded_at >= :since
      AND position(CAST(:lot AS bytea) IN data) > 0
    ORDER BY version LIMIT :most
""")
_MAILS: Final = text("""
    SELECT kind, cause, status, created_at, finished_at, last_error FROM notifier.messages
    WHERE account_id = ANY (:accounts)
      AND (position(CAST(:order AS text) IN cause) > 0 OR details ->> 'order_id' = CAST(:order AS text))
    ORDER BY id LIMIT :most
""")
_LETTERS: Final = {
    service: text(f"""
        SELECT '{service}:' || id AS id, reason, failed_at FROM {service}.dead_letters
        WHERE message_id = ANY (:messages) AND retried_at IS NULL AND discarded_at IS NULL
        ORDER BY id LIMIT :most
    """)  # noqa: S608  the services' own schemas
    for service in ("billing", "ledger", "notifier")
}


class MailLine(Struct, frozen=True):
    """A notice about the order, and what became of it."""

    kind: str
    status: str
    created_at: datetime
    finished_at: datetime | None
    last_error: str | None


class LetterLine(Struct, frozen=True):
    """A dead letter of an event about the order that nobody has retried or put away."""

    id: str
    reason: str
    failed_at: datetime


class _LotData(Struct):
    lot_id: str = ""
    tokens: int = 0
    debt_repaid: int = 0


class _LedgerEvent(Struct):
    data: _LotData


_decode = json.Decoder(_LedgerEvent).decode


async def load_received(engine: AsyncEngine, order_id: str) -> list[Received]:
    """Stripe's events about the order, as they came in."""
    table = webhook_events.c
    query = (
        select(
            table.id,
            table.type,
            *(table.happened_at, table.received_at),
            *(table.status, table.outcome, table.last_error),
        )
        .where(table.order_id == order_id)
        .order_by(table.received_at, table.id)
        .limit(MOST)
    )
    async with statements(engine) as connection:
        return [
            Received(
                event_id=row.id,
                type=row.type,
                happened_at=row.happened_at,
                received_at=row.received_at,
                status=row.status,
                outcome=row.outcome,
                last_error=row.last_error,
            )
            for row in await connection.execute(query)
        ]


async def load_plan_changes(engine: AsyncEngine, order_id: str) -> list[StoredChange]:
    """The life of the subscription that the order began, the latest of it where it is long."""
    of_order = select(subscriptions.c.id).where(subscriptions.c.order_id == order_id)
    query = (
        select(subscription_changes)
        .where(subscription_changes.c.subscription_id.in_(of_order))
        .order_by(subscription_changes.c.id.desc())
        .limit(MOST)
    )
    async with statements(engine) as connection:
        rows = (await connection.execute(query)).all()
    return [stored_change(row) for row in reversed(rows)]


async def load_said(engine: AsyncEngine, order: Order) -> list[Said]:
    """What billing says of the order, or of the subscription that it began, in the order in which it is published."""
    published = select(relay.c.position).where(relay.c.name == "billing").scalar_subquery()
    query = (
        select(outbox, (outbox.c.position <= published).label("is_published"))
        .where(outbox.c.subject_id.in_([order.id, *([order.subscription_id] if order.subscription_id else [])]))
        .order_by(outbox.c.position)
        .limit(MOST)
    )
    async with statements(engine) as connection:
        return [
            Said(
                event_id=str(row.event_id),
                name=row.name,
                recorded_at=row.recorded_at,
                is_published=bool(row.is_published),
            )
            for row in await connection.execute(query)
        ]


async def load_credited(engine: AsyncEngine, order: Order) -> list[Credited] | None:
    """The ledger's events about the order's lot; None where its tables can't be read from here."""
    lot_id = order_lot_id(order.id)
    values = {"account": order.account_id, "lot": f'"{lot_id}"'.encode(), "since": order.created_at, "most": MOST}
    async with statements(engine) as connection:
        if not await _can_read(connection, "ledger.events"):
            return None
        rows = (await connection.execute(_LEDGER_EVENTS, values)).all()
    events = [(row, _decode(row.data).data) for row in rows]
    return [_credited(row, data) for row, data in events if data.lot_id == lot_id]


def _credited(row: Row[Any], data: _LotData) -> Credited:
    name = row.type.removeprefix("solaris.").removesuffix(".v1")
    return Credited(
        event_id=row.id, type=name, recorded_at=row.recorded_at, tokens=data.tokens, debt_repaid=data.debt_repaid
    )


async def load_mails(engine: AsyncEngine, order: Order) -> list[MailLine] | None:
    """The notices about the order; None where the notifier's tables can't be read from here."""
    values = {"accounts": [order.account_id, order.pays], "order": order.id, "most": MOST}
    async with statements(engine) as connection:
        if not await _can_read(connection, "notifier.messages"):
            return None
        return [
            MailLine(row.kind, row.status, row.created_at, row.finished_at, row.last_error)
            for row in await connection.execute(_MAILS, values)
        ]


async def load_letters(engine: AsyncEngine, messages: Sequence[str]) -> list[LetterLine]:
    """Dead letters that wait, of any service, of these messages."""
    found = []
    async with statements(engine) as connection:
        for service, query in _LETTERS.items():
            if await _can_read(connection, f"{service}.dead_letters"):
                rows = await connection.execute(query, {"messages": list(messages), "most": MOST})
                found += [LetterLine(row.id, row.reason, row.failed_at) for row in rows]
    return found


async def is_account_known(engine: AsyncEngine, account_id: str) -> bool | None:
    """Whether the ledger has the account; None where its tables can't be read from here."""
    query = text("SELECT EXISTS (SELECT FROM ledger.accounts WHERE account_id = :account AND version > 0)")
    async with statements(engine) as connection:
        if not await _can_read(connection, "ledger.accounts"):
            return None
        return bool((await connection.execute(query, {"account": account_id})).scalar_one())


async def _can_read(connection: AsyncConnection, table: str) -> bool:
    readable = text("SELECT CASE WHEN to_regclass(:name) IS NOT NULL THEN has_table_privilege(:name, 'SELECT') END")
    return bool((await connection.execute(readable, {"name": table})).scalar_one())
