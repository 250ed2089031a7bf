"""Rows of notices: the inbox makes each event count once, the key of a notice makes it told once."""

from datetime import timedelta
from typing import Any, assert_never

from chassis.inbox import first_seen
from contracts.events.registry import BILLING_EVENT_NAMES, BILLING_EVENTS
from msgspec import convert, to_builtins
from sqlalchemy import Row, exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.billing_notices import BillingNotice
from notifier.domain.composing import AnyNotice
from notifier.domain.notices import Figures, Notice
from notifier.store.tables import PENDING, PENDING_ALONE, inbox, messages


async def accept_notice(
    connection: AsyncConnection, consumer: str, event_id: str, notice: AnyNotice | None, *, window: timedelta
) -> bool:
    """Note the event and queue its notice, due when the window is over; False where either was there before."""
    seen = first_seen(inbox, consumer, event_id)
    if notice is None:
        await connection.execute(seen.select())
        return False
    columns = {messages.c[name]: value for name, value in _columns_of(notice).items()}
    values = select(*(literal(value, column.type) for column, value in columns.items()), func.now() + window).where(
        exists(seen.select())
    )
    queueing = insert(messages).from_select([*columns, messages.c.due_at], values).on_conflict_do_nothing()
    return (await connection.execute(queueing)).rowcount == 1


def _columns_of(notice: AnyNotice) -> dict[str, object]:
    columns: dict[str, object] = {
        "account_id": notice.account_id,
        "kind": notice.kind,
        "cause": notice.cause,
        "occurred_at": notice.occurred_at,
    }
    match notice:
        case Notice():
            own = {"status": PENDING, "cycle_id": notice.cycle_id, "figures": to_builtins(notice.figures)}
        case BillingNotice():
            event, details = BILLING_EVENT_NAMES[type(notice.data)], to_builtins(notice.data)
            own = {"status": PENDING_ALONE, "event": event, "details": details}
        case _:
            assert_never(notice)
    return columns | own


def notice_in(row: Row[*tuple[Any, ...]]) -> AnyNotice:  # SQLAlchemy types a row by its columns, up to ten of them
    """The notice that stands in a row of `messages`."""
    return token_notice_in(row) if row.event is None else billing_notice_in(row)


def token_notice_in(row: Row[*tuple[Any, ...]]) -> Notice:
    """That of a row of the ledger's."""
    return Notice(
        account_id=row.account_id,
        cycle_id=row.cycle_id,
        kind=row.kind,
        cause=row.cause,
        figures=convert(row.figures, Figures),
        occurred_at=row.occurred_at,
    )


def billing_notice_in(row: Row[*tuple[Any, ...]]) -> BillingNotice:
    """That of a row of billing's."""
    return BillingNotice(
        account_id=row.account_id,
        kind=row.kind,
        cause=row.cause,
        data=convert(row.details, BILLING_EVENTS[row.event]),
        occurred_at=row.occurred_at,
    )
