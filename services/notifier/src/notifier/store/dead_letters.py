"""Dead letters: what was given up on, kept with its reason until an operator retries or discards it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Exists, Row, exists, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import ReturningInsert

from notifier.store.tables import SERVICE, dead_letters, first_seen, statements


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """A dead letter to be written; `message_id` names the message to its consumer."""

    consumer: str
    message_id: str
    subject: str
    payload: bytes
    reason: str


def letter_id(number: int) -> str:
    """`notifier:3`, as operators name it."""
    return f"{SERVICE}:{number}"


async def give_up_message(engine: AsyncEngine, letter: GivenUp) -> int | None:
    """Write the dead letter of a consumed message; None when it is there from an earlier delivery."""
    seen = first_seen(letter.consumer, letter.message_id)
    async with statements(engine) as connection:
        return (await connection.execute(dead_letter_where(letter, exists(seen.select())))).scalar_one_or_none()


def dead_letter_where(letter: GivenUp, condition: Exists) -> ReturningInsert[int]:
    """Inserts the row where the condition holds; returns its id."""
    columns = {
        dead_letters.c.consumer: letter.consumer,
        dead_letters.c.message_id: letter.message_id,
        dead_letters.c.subject: letter.subject,
        dead_letters.c.payload: letter.payload,
        dead_letters.c.reason: letter.reason,
    }
    values = select(*(literal(value, column.type) for column, value in columns.items())).where(condition)
    return insert(dead_letters).from_select(list(columns), values).returning(dead_letters.c.id)


async def load_dead_letters(connection: AsyncConnection, number: int | None = None) -> Sequence[Row[Any]]:
    """All dead letters, or the named one, oldest first."""
    statement = select(dead_letters).order_by(dead_letters.c.id)
    if number is not None:
        statement = statement.where(dead_letters.c.id == number)
    return (await connection.execute(statement)).all()


async def lock_dead_letter(connection: AsyncConnection, number: int) -> Row[Any] | None:
    """The dead letter, locked until the transaction ends; None when it does not wait or does not exist."""
    statement = select(dead_letters).where(dead_letters.c.id == number, *waits()).with_for_update()
    return (await connection.execute(statement)).one_or_none()


def waits() -> tuple[ColumnElement[bool], ...]:
    """Of a dead letter that nobody has retried or discarded."""
    return dead_letters.c.retried_at.is_(None), dead_letters.c.discarded_at.is_(None)


async def discard(engine: AsyncEngine, number: int, *, by: str, reason: str) -> bool:
    """Put a dead letter that waits away; False where it does not wait, or is none."""
    discarding = (
        update(dead_letters)
        .where(dead_letters.c.id == number, *waits())
        .values(discarded_at=func.now(), discarded_by=by, discard_reason=reason)
    )
    async with statements(engine) as connection:
        return (await connection.execute(discarding)).rowcount > 0


async def mark_retried(connection: AsyncConnection, number: int) -> None:
    """Note that the dead letter was redelivered with success."""
    await connection.execute(update(dead_letters).where(dead_letters.c.id == number).values(retried_at=func.now()))
