"""Queues notices: the inbox makes each event count once, the key of a notice makes it told once."""

from datetime import timedelta

from chassis.inbox import claim
from contracts.subjects import NOTIFIER_LEDGER_CONSUMER
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.notices import Notice
from notifier.store.tables import figures_adapter, inbox, messages


async def accept_notice(
    connection: AsyncConnection, event_id: str, notice: Notice | None, *, window: timedelta
) -> bool:
    """Claim the event and queue its notice, due when the window is over; False where either was there before."""
    if not await claim(connection, inbox, NOTIFIER_LEDGER_CONSUMER, event_id):
        return False
    return notice is not None and await _queue_notice(connection, notice, window)


async def _queue_notice(connection: AsyncConnection, notice: Notice, window: timedelta) -> bool:
    statement = (
        insert(messages)
        .values(
            account_id=notice.account_id,
            cycle_id=notice.cycle_id,
            kind=notice.kind,
            cause=notice.cause,
            figures=figures_adapter.dump_python(notice.figures, mode="json"),
            occurred_at=notice.occurred_at,
            due_at=func.now() + window,
        )
        .on_conflict_do_nothing()
    )
    return (await connection.execute(statement)).rowcount == 1
