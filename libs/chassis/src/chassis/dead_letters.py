"""Dead letters: what was given up on, kept with its reason until an operator retries or discards it."""

import contextlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import structlog
from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Update,
    and_,
    case,
    func,
    literal,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import ReturningInsert

from chassis.postgres import DATABASE_ERRORS, refuses_the_data, statements

PAGE: Final = 100
MAX_REASON_LENGTH: Final = 1_000
_OURS: Final = "solaris."
_NUMBER: Final = re.compile(r"[0-9]{1,18}")

log = structlog.get_logger()


class PoisonError(Exception):
    """A message that can never be handled; the text says why, without quoting it."""


class GivenUp(Struct, frozen=True, kw_only=True):
    """What is to be kept; `message_id` names the message to its consumer."""

    consumer: str
    message_id: str
    subject: str
    payload: bytes
    reason: str


class Discarded(Struct, frozen=True, kw_only=True):
    """Who put a dead letter away for good, when and why."""

    at: datetime
    by: str | None
    reason: str | None


class StoredLetter(GivenUp, frozen=True, kw_only=True):
    """A row of the table; it waits until it is retried with success or discarded."""

    id: int
    failed_at: datetime
    announced_at: datetime | None
    retried_at: datetime | None
    discarded_at: datetime | None
    discarded_by: str | None
    discard_reason: str | None


type Retry = Callable[[AsyncConnection, StoredLetter], Awaitable[str | None]]
"""Has the effect of a letter once, however often it is retried; returns why it stays, None where it succeeded.

A PoisonError says so too, and what Postgres refuses as data: a consumer's handler may retry its letters. What it does
on the connection commits together with the note that the letter was retried.
"""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """One dead letter, as operators list it and as it is announced.

    `id` is `<service>:<number>` and names it to a retry. `payload` is the message's text; bytes that are not UTF-8
    stand as `\\xNN`. An announcement carries no payload: it stays in the service's own table.
    """

    id: str
    service: str
    consumer: str
    subject: str
    reason: str
    failed_at: datetime
    retried_at: datetime | None = None
    discarded: Discarded | None = None
    payload: str | None = None


class Retried(Struct, frozen=True):
    """What a retry came to; `reason` says why the letter stays."""

    id: str
    retried: bool
    reason: str | None = None


class DiscardedLetter(Struct, frozen=True):
    """A letter that was put away just now."""

    id: str
    discarded: bool = True


def dead_letters_table(metadata: MetaData) -> Table:
    """`dead_letters`: one row per message given up on, by consumer and message id."""
    table = Table(
        "dead_letters",
        metadata,
        Column("id", BigInteger, Identity(), primary_key=True),
        Column("consumer", String(64), nullable=False),
        Column("message_id", String(128), nullable=False),
        Column("subject", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("reason", Text, nullable=False),
        Column("failed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("announced_at", DateTime(timezone=True)),
        Column("retried_at", DateTime(timezone=True)),
        Column("discarded_at", DateTime(timezone=True)),
        Column("discarded_by", Text),
        Column("discard_reason", Text),
        UniqueConstraint("consumer", "message_id"),
    )
    Index("dead_letters_unannounced", table.c.id, postgresql_where=table.c.announced_at.is_(None))
    Index("dead_letters_waiting", table.c.id, postgresql_where=table.c.retried_at.is_(None))
    return table


class DeadLetters:
    """The dead letters of one service, in its own table."""

    def __init__(self, service: str, table: Table) -> None:
        self.service = service
        self._table = table
        self._waits = and_(table.c.retried_at.is_(None), table.c.discarded_at.is_(None))

    def id_of(self, number: int) -> str:
        """`ledger:3`, as operators name it."""
        return f"{self.service}:{number}"

    def number_of(self, letter_id: str) -> int | None:
        """`ledger:3` → 3; None where it names no letter of this service."""
        service, _, number = letter_id.partition(":")
        named = service == self.service and _NUMBER.fullmatch(number) is not None
        return int(number) if named else None

    def listed(self, letter: StoredLetter) -> DeadLetter:
        discarded = None
        if letter.discarded_at is not None:
            discarded = Discarded(at=letter.discarded_at, by=letter.discarded_by, reason=letter.discard_reason)
        return DeadLetter(
            id=self.id_of(letter.id),
            service=self.service,
            consumer=letter.consumer,
            subject=letter.subject,
            reason=letter.reason,
            failed_at=letter.failed_at,
            retried_at=letter.retried_at,
            discarded=discarded,
            payload=letter.payload.decode("utf-8", "backslashreplace"),
        )

    def keeping(self, letter: GivenUp, condition: ColumnElement[bool]) -> ReturningInsert[int]:
        """Keeps the letter where the condition holds; returns its number, or no row where it is kept already.

        A message has one letter: one that was retried and failed again waits again, one that was discarded does not.
        """
        columns = self._table.c
        values = {
            columns.consumer: letter.consumer,
            columns.message_id: _storable(letter.message_id)[:128],
            columns.subject: _storable(letter.subject),
            columns.payload: letter.payload,
            columns.reason: _storable(letter.reason)[:MAX_REASON_LENGTH],
        }
        chosen = select(*(literal(value, column.type) for column, value in values.items())).where(condition)
        inserting = insert(self._table).from_select(list(values), chosen)
        waiting_again = inserting.on_conflict_do_update(
            index_elements=[columns.consumer, columns.message_id],
            set_={
                # A mail that failed again may have gathered more meanwhile.
                columns.payload: inserting.excluded.payload,
                columns.reason: inserting.excluded.reason,
                columns.failed_at: func.now(),
                columns.announced_at: None,
                columns.retried_at: None,
            },
            where=columns.retried_at.is_not(None),
        )
        return waiting_again.returning(columns.id)

    async def keep(self, engine: AsyncEngine, letter: GivenUp) -> int | None:
        """Keep it once; returns its number, or None where it is kept already."""
        async with statements(engine) as connection:
            number = (await connection.execute(self.keeping(letter, true()))).scalar_one_or_none()
        if number is not None:
            log.error(
                "message_given_up", dead_letter=self.id_of(number), consumer=letter.consumer, reason=letter.reason
            )
        return number

    async def load(
        self, engine: AsyncEngine, number: int | None = None, *, waiting_only: bool = False
    ) -> AsyncGenerator[StoredLetter]:
        """All that there are now, oldest first and page by page, or the one of that number."""
        numbers = self._table.c.id
        wanted = (true() if number is None else numbers == number, self._waits if waiting_only else true())
        last = 0
        async with statements(engine) as connection:
            newest = await connection.scalar(select(func.coalesce(func.max(numbers), 0)))
            while page := await self._page(connection, *wanted, numbers > last, numbers <= newest):
                for letter in page:
                    yield letter
                last = page[-1].id

    async def load_unannounced(self, engine: AsyncEngine) -> list[StoredLetter]:
        """A page of those of which no announcement has been taken, oldest first."""
        async with statements(engine) as connection:
            return await self._page(connection, self._table.c.announced_at.is_(None))

    async def mark_announced(self, engine: AsyncEngine, letters: Sequence[StoredLetter]) -> None:
        """Those that have failed again meanwhile are to be announced again."""
        is_as_announced = tuple_(self._table.c.id, self._table.c.failed_at).in_(
            [(letter.id, letter.failed_at) for letter in letters]
        )
        async with statements(engine) as connection:
            await connection.execute(self._noting("announced_at", is_as_announced))

    async def retry(self, engine: AsyncEngine, number: int | None, retry: Retry) -> AsyncGenerator[Retried]:
        """Retry all that wait, or the one of that number, even if it was retried before; each in a transaction.

        A letter is locked meanwhile, so that nobody else retries or discards it.
        """
        async with contextlib.aclosing(self.load(engine, number, waiting_only=number is None)) as letters:
            async for letter in letters:
                this = self._table.c.id == letter.id
                retrying = self._retry(
                    engine, letter.id, this if number is not None else and_(this, self._waits), retry
                )
                if (retried := await retrying) is not None:
                    yield retried

    async def _retry(
        self, engine: AsyncEngine, number: int, wanted: ColumnElement[bool], retry: Retry
    ) -> Retried | None:
        try:
            async with engine.begin() as connection:
                row = (await connection.execute(select(self._table).where(wanted).with_for_update())).one_or_none()
                if row is None:
                    return None
                letter = StoredLetter(**row._asdict())
                if letter.discarded_at is None:
                    reason = await retry(connection, letter)
                else:
                    reason = f"discarded by {letter.discarded_by}: {letter.discard_reason}"
                if reason is None:
                    await connection.execute(self._noting("retried_at", wanted))
        except PoisonError as error:
            reason = str(error)
        except DATABASE_ERRORS as error:
            if not refuses_the_data(error):
                raise
            reason = f"not storable: {type(error).__name__}"
        return Retried(self.id_of(number), reason is None, reason)

    async def discard(self, engine: AsyncEngine, number: int, *, by: str, reason: str) -> bool:
        """Put a letter that waits away: it stays listed; False where it does not wait, or is none."""
        discarding = self._noting("discarded_at", self._table.c.id == number, self._waits)
        async with statements(engine) as connection:
            discarded = await connection.execute(discarding.values(discarded_by=by, discard_reason=reason))
            return discarded.rowcount > 0

    async def load_about(self, engine: AsyncEngine, token: str) -> AsyncGenerator[StoredLetter]:
        """Those of our own messages whose subject ends with that token, page by page."""
        last = 0
        async with statements(engine) as connection:
            while page := await self._page(connection, self._is_about(token), self._table.c.id > last):
                for letter in page:
                    yield letter
                last = page[-1].id

    async def erase_about(self, engine: AsyncEngine, token: str, *, by: str, reason: str) -> int:
        """Empty those of our own messages whose subject ends with that token, and put away those that wait.

        Returns how many were not empty. What was typed when one was discarded goes too. That there was one stays, for
        its message may come once more.
        """
        columns = self._table.c
        erasing = (
            update(self._table)
            .where(self._is_about(token), columns.payload != b"")
            .values(
                payload=b"",
                discarded_at=func.coalesce(
                    columns.discarded_at, case((columns.retried_at.is_(None), func.clock_timestamp()))
                ),
                discarded_by=by,
                discard_reason=reason,
            )
        )
        async with statements(engine) as connection:
            return (await connection.execute(erasing)).rowcount

    def _is_about(self, token: str) -> ColumnElement[bool]:
        # What was given up on of somebody else's, a webhook, has a subject of theirs.
        subject = self._table.c.subject
        return and_(subject.startswith(_OURS, autoescape=True), func.split_part(subject, ".", -1) == token)

    async def count_waiting(self, engine: AsyncEngine) -> int:
        """Letters that were neither retried nor discarded yet."""
        async with statements(engine) as connection:
            return (await connection.execute(select(func.count()).where(self._waits))).scalar_one()

    async def _page(self, connection: AsyncConnection, *conditions: ColumnElement[bool]) -> list[StoredLetter]:
        page = select(self._table).where(*conditions).order_by(self._table.c.id).limit(PAGE)
        return [StoredLetter(**row._asdict()) for row in await connection.execute(page)]

    def _noting(self, moment: str, *conditions: ColumnElement[bool]) -> Update:
        return update(self._table).where(*conditions).values({moment: func.clock_timestamp()})


def _storable(text: str) -> str:
    """Postgres keeps any character but this one, and NATS passes on even this one."""
    return text.replace("\0", "\ufffd")
