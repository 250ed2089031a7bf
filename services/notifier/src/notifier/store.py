"""All SQL of the notifier: messages to send, the inbox that makes each event count once, dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from chassis.inbox import claim, dead_letters_table, inbox_table
from contracts.subjects import NOTIFIER_LEDGER_CONSUMER
from pydantic import TypeAdapter
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.domain.notices import Figures, Notice

SERVICE: Final = "notifier"
MAIL_CONSUMER: Final = "notifier-mail"
"""Under this name stand mails that could not be sent among the dead letters."""
PENDING: Final = "pending"
SENT: Final = "sent"
STALE: Final = "stale"
NO_ADDRESS: Final = "no_address"
FAILED: Final = "failed"

metadata = MetaData(schema="notifier")
inbox = inbox_table(metadata)
dead_letters = dead_letters_table(metadata)
messages = Table(
    "messages",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("account_id", String(128), nullable=False),
    Column("cycle_id", String(256), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("cause", String(160), nullable=False),
    Column("figures", JSONB, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("address_checks", Integer, nullable=False),
    Column("last_error", Text),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
)
_figures: TypeAdapter[Figures] = TypeAdapter(Figures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A message that this process may send until its lease ends.

    `attempts` counts the leases and is this one's fence: a process that lost its lease changes nothing any more.
    `failures` counts attempts that failed, `address_checks` those that found no address.
    """

    id: int
    notice: Notice
    attempts: int
    failures: int
    address_checks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """A dead letter to be written; `message_id` names the message to its consumer."""

    consumer: str
    message_id: str
    subject: str
    payload: bytes
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits: pending messages, the age of the oldest in seconds, dead letters not retried yet."""

    pending: int
    oldest_pending_seconds: float
    dead_letters: int


def letter_id(number: int) -> str:
    """`notifier:3`, as operators name it."""
    return f"{SERVICE}:{number}"


async def accept_notice(connection: AsyncConnection, event_id: str, notice: Notice | None) -> bool:
    """Claim the event and queue its notice; False where either was there before."""
    if not await claim(connection, inbox, NOTIFIER_LEDGER_CONSUMER, event_id):
        return False
    return notice is not None and await queue_notice(connection, notice)


async def queue_notice(connection: AsyncConnection, notice: Notice) -> bool:
    """Queue the notice unless its key was queued before."""
    statement = (
        insert(messages)
        .values(
            account_id=notice.account_id,
            cycle_id=notice.cycle_id,
            kind=notice.kind,
            cause=notice.cause,
            figures=_figures.dump_python(notice.figures, mode="json"),
            occurred_at=notice.occurred_at,
        )
        .on_conflict_do_nothing()
    )
    return (await connection.execute(statement)).rowcount == 1


async def lease_due(engine: AsyncEngine, *, at_most: int, lease: timedelta) -> list[Claimed]:
    """Take due messages for this process alone; after the lease they are due again for anyone."""
    due = (
        select(messages.c.id)
        .where(messages.c.status == PENDING, messages.c.due_at <= func.now())
        .order_by(messages.c.due_at, messages.c.id)
        .limit(at_most)
        .with_for_update(skip_locked=True)
        .cte("due")  # evaluated once; a sub-select might be run again for each row and take more than the limit
    )
    statement = (
        update(messages)
        .where(messages.c.id == due.c.id)
        .values(attempts=messages.c.attempts + 1, due_at=func.now() + lease)
        .returning(*messages.c)
    )
    async with engine.begin() as connection:
        rows = (await connection.execute(statement)).all()
    return [_claimed(row) for row in sorted(rows, key=lambda row: row.id)]


def _claimed(row: Row[Any]) -> Claimed:
    notice = Notice(
        account_id=row.account_id,
        cycle_id=row.cycle_id,
        kind=row.kind,
        cause=row.cause,
        figures=_figures.validate_python(row.figures),
        occurred_at=row.occurred_at,
    )
    return Claimed(
        id=row.id,
        notice=notice,
        attempts=row.attempts,
        failures=row.failures,
        address_checks=row.address_checks,
    )


async def finish(engine: AsyncEngine, message: Claimed, status: str) -> bool:
    """End the message as sent, stale or without address; False when the lease was lost meanwhile."""
    async with engine.begin() as connection:
        return await _change(connection, message, status=status, finished_at=func.now())


async def postpone(
    engine: AsyncEngine, message: Claimed, delay: timedelta, *, error: str, address_checked: bool = False
) -> bool:
    """Make the message due again after the delay."""
    counter = "address_checks" if address_checked else "failures"
    async with engine.begin() as connection:
        return await _change(
            connection,
            message,
            last_error=error,
            due_at=func.now() + delay,
            **{counter: messages.c[counter] + 1},
        )


async def give_up_mail(engine: AsyncEngine, message: Claimed, letter: GivenUp) -> int | None:
    """End the message as failed with its dead letter; returns the letter's id, None when the lease was lost."""
    async with engine.begin() as connection:
        if not await _change(connection, message, status=FAILED, finished_at=func.now(), last_error=letter.reason):
            return None
        return await add_dead_letter(connection, letter)


async def _change(connection: AsyncConnection, message: Claimed, **values: Any) -> bool:  # columns of `messages`
    statement = (
        update(messages)
        .where(messages.c.id == message.id, messages.c.attempts == message.attempts, messages.c.status == PENDING)
        .values(**values)
    )
    return (await connection.execute(statement)).rowcount == 1


async def give_up_message(engine: AsyncEngine, letter: GivenUp) -> int | None:
    """Write the dead letter of a consumed message; None when it is there from an earlier delivery."""
    async with engine.begin() as connection:
        if not await claim(connection, inbox, letter.consumer, letter.message_id):
            return None
        return await add_dead_letter(connection, letter)


async def add_dead_letter(connection: AsyncConnection, letter: GivenUp) -> int:
    """Insert the row; returns its id."""
    statement = (
        insert(dead_letters)
        .values(
            consumer=letter.consumer,
            message_id=letter.message_id,
            subject=letter.subject,
            payload=letter.payload,
            reason=letter.reason,
        )
        .returning(dead_letters.c.id)
    )
    return int((await connection.execute(statement)).scalar_one())


async def load_dead_letters(connection: AsyncConnection, number: int | None = None) -> Sequence[Row[Any]]:
    """All dead letters, or the named one, oldest first."""
    statement = select(dead_letters).order_by(dead_letters.c.id)
    if number is not None:
        statement = statement.where(dead_letters.c.id == number)
    return (await connection.execute(statement)).all()


async def lock_dead_letter(connection: AsyncConnection, number: int) -> Row[Any] | None:
    """The dead letter, locked until the transaction ends; None when it was retried before or does not exist."""
    statement = (
        select(dead_letters).where(dead_letters.c.id == number, dead_letters.c.retried_at.is_(None)).with_for_update()
    )
    return (await connection.execute(statement)).one_or_none()


async def mark_retried(connection: AsyncConnection, number: int) -> None:
    """Note that the dead letter was redelivered with success."""
    await connection.execute(update(dead_letters).where(dead_letters.c.id == number).values(retried_at=func.now()))


async def requeue_mail(connection: AsyncConnection, message_number: int) -> bool:
    """Make a failed mail due at once, with all its attempts before it; False when it is not a failed one."""
    statement = (
        update(messages)
        .where(messages.c.id == message_number, messages.c.status == FAILED)
        .values(status=PENDING, due_at=func.now(), failures=0, address_checks=0, finished_at=None)
    )
    return (await connection.execute(statement)).rowcount == 1


async def measure_backlog(engine: AsyncEngine) -> Backlog:
    """The figures behind the gauges."""
    pending = messages.c.status == PENDING
    age = func.extract("epoch", func.now() - func.min(messages.c.created_at))
    async with engine.connect() as connection:
        count, seconds = (await connection.execute(select(func.count(), age).where(pending))).one()
        letters = select(func.count()).where(dead_letters.c.retried_at.is_(None))
        return Backlog(
            pending=count,
            oldest_pending_seconds=float(seconds or 0),
            dead_letters=(await connection.execute(letters)).scalar_one(),
        )


async def check_database(engine: AsyncEngine) -> str | None:
    """A readiness check: None when the schema can be read."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1 FROM notifier.messages LIMIT 1"))
    return None
