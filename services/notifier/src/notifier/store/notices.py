"""Queues notices: the inbox makes each event count once, the key of a notice makes it told once."""

from datetime import timedelta

from chassis.inbox import first_seen
from contracts.subjects import NOTIFIER_LEDGER_CONSUMER
from msgspec import to_builtins
from sqlalchemy import exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.notices import Notice
from notifier.store.tables import inbox, messages


async def accept_notice(
    connection: AsyncConnection, event_id: str, notice: Notice | None, *, window: timedelta
) -> bool:
    """Note the event and queue its notice, due when the window is over; False where either was there before."""
    seen = first_seen(inbox, NOTIFIER_LEDGER_CONSUMER, event_id)
    if notice is None:
        await connection.execute(seen.select())
        return False
    columns = {
        messages.c.account_id: notice.account_id,
        messages.c.cycle_id: notice.cycle_id,
        messages.c.kind: notice.kind,
        messages.c.cause: notice.cause,
        messages.c.figures: to_builtins(notice.figures),
        messages.c.occurred_at: notice.occurred_at,
    }
    values = select(*(literal(value, column.type) for column, value in columns.items()), func.now() + window).where(
        exists(seen.select())
    )
    queueing = insert(messages).from_select([*columns, messages.c.due_at], values).on_conflict_do_nothing()
    return (await connection.execute(queueing)).rowcount == 1
