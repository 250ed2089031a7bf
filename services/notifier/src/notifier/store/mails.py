"""Mails: one process at a time claims an account and sends what waits for it, oldest first.

A claim is a row that lapses by itself, so no lock is held while a mail is on its way, and a process that died or froze
holds nobody up for longer than its lease. Whoever lost a claim changes nothing any more.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Row, bindparam, delete, exists, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.domain.alerts import Context
from notifier.domain.notices import Notice
from notifier.store.dead_letters import GivenUp, add_dead_letter
from notifier.store.tables import FAILED, PENDING, SENT, TOLD, claims, figures_adapter, messages

MAX_WAITING: Final = 100
"""Messages of one account that are looked at in one go."""


type _Row = Row[*tuple[Any, ...]]  # SQLAlchemy types a row by its columns, up to ten of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """This process alone may send to the account, until the lease ends or another takes over."""

    account_id: str
    holder: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """Notices that go out as one mail, and what else was or is to be told of the account.

    `failures` counts attempts that failed by this mail, `address_checks` those that found no address, `state_checks`
    those to which the ledger said nothing of the account.
    """

    id: int
    claim: Claim
    notices: Mapping[int, Notice]
    context: Context
    failures: int
    address_checks: int
    state_checks: int


async def claim_due(
    engine: AsyncEngine, *, at_most: int, lease: timedelta, but_not: Collection[str] = ()
) -> list[Claim]:
    """Claim accounts with due messages that nobody else is sending to; `but_not` are this process's own."""
    held = exists().where(claims.c.account_id == messages.c.account_id, claims.c.until > func.now())
    oldest = (
        select(messages.c.account_id)
        .where(messages.c.status == PENDING, messages.c.due_at <= func.now(), ~held)
        .where(messages.c.account_id.not_in(but_not))
        .order_by(messages.c.due_at)
        .limit(at_most)
        .cte("oldest")
    )
    holder = uuid4()
    # Sorted: two processes that claim the same accounts wait for each other in one order.
    due = select(oldest.c.account_id, literal(holder), func.now() + lease).distinct().order_by(oldest.c.account_id)
    claiming = insert(claims).from_select(["account_id", "holder", "until"], due)
    statement = claiming.on_conflict_do_update(
        index_elements=["account_id"],
        set_={"holder": claiming.excluded.holder, "until": claiming.excluded.until},
        where=claims.c.until <= func.now(),
    ).returning(claims.c.account_id)
    async with _fleeting(engine) as connection:
        claimed = (await connection.execute(statement)).scalars().all()
    return [Claim(account_id=account_id, holder=holder) for account_id in claimed]


@asynccontextmanager
async def _fleeting(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that need not outlive a crash of the database: it waits for no disk, and keeps no call waiting."""
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL synchronous_commit = off"))
        yield connection


async def extend(engine: AsyncEngine, claim: Claim, lease: timedelta) -> bool:
    """Whether the claim still holds; then the lease begins anew."""
    async with _fleeting(engine) as connection:
        return await _extend(connection, claim, lease)


async def _extend(connection: AsyncConnection, claim: Claim, lease: timedelta) -> bool:
    statement = update(claims).where(*_is_held(claim)).values(until=func.now() + lease)
    return (await connection.execute(statement)).rowcount == 1


def _is_held(claim: Claim) -> tuple[Any, ...]:  # SQLAlchemy's comparisons
    return claims.c.account_id == claim.account_id, claims.c.holder == claim.holder


async def release(engine: AsyncEngine, claim: Claim) -> None:
    """Let others send to the account."""
    async with _fleeting(engine) as connection:
        await connection.execute(delete(claims).where(*_is_held(claim)))


async def gather(engine: AsyncEngine, claim: Claim, *, window: timedelta, lease: timedelta) -> Mail | None:
    """The account's oldest mail, to be sent now; None when nothing is due or the claim is lost.

    What a mail holds is settled by its first attempt and stays: all that was queued within `window` of its first
    message. Mails of an account go in their order, so what is due later waits for the one before, which is then tried
    at once.
    """
    ours = messages.c.account_id == claim.account_id, messages.c.status == PENDING
    due = select(exists().where(*ours, messages.c.due_at <= func.now()))
    waiting = select(messages).where(*ours).order_by(messages.c.created_at, messages.c.id).limit(MAX_WAITING)
    async with _fleeting(engine) as connection:
        if not await _extend(connection, claim, lease):
            return None
        if not (await connection.execute(due)).scalar_one():
            return None
        rows = (await connection.execute(waiting)).all()
        members = _first_mail(rows, window)
        told = select(messages).where(
            messages.c.account_id == claim.account_id,
            messages.c.cycle_id.in_({row.cycle_id for row in members}),
            messages.c.status.in_((SENT, TOLD)),
        )
        told_rows = (await connection.execute(told)).all()
        number = members[0].mail_id or members[0].id
        attempt = (
            update(messages)
            .where(messages.c.id.in_(row.id for row in members))
            .values(mail_id=number, attempts=messages.c.attempts + 1, due_at=func.now() + lease)
        )
        await connection.execute(attempt)
    context = Context(
        told=[_notice(row) for row in told_rows], later=[_notice(row) for row in rows if row not in members]
    )
    return _mail(number, claim, members, context)


def _first_mail(rows: Sequence[_Row], window: timedelta) -> list[_Row]:
    """The messages of the oldest mail: those of its first attempt, else those within the window of its first."""
    first = rows[0]
    if first.mail_id is not None:
        return [row for row in rows if row.mail_id == first.mail_id]
    return [row for row in rows if row.mail_id is None and row.created_at <= first.created_at + window]


def _mail(number: int, claim: Claim, members: Sequence[_Row], context: Context) -> Mail:
    first = members[0]
    return Mail(
        id=number,
        claim=claim,
        notices={row.id: _notice(row) for row in members},
        context=context,
        failures=first.failures,
        address_checks=first.address_checks,
        state_checks=first.state_checks,
    )


def _notice(row: _Row) -> Notice:
    return Notice(
        account_id=row.account_id,
        cycle_id=row.cycle_id,
        kind=row.kind,
        cause=row.cause,
        figures=figures_adapter.validate_python(row.figures),
        occurred_at=row.occurred_at,
    )


async def finish(engine: AsyncEngine, mail: Mail, statuses: Mapping[int, str]) -> bool:
    """End messages of the mail, each with its status; False when the claim was lost meanwhile."""
    async with engine.begin() as connection:
        if not await _lock_claim(connection, mail.claim):
            return False
        await _finish(connection, statuses)
        return True


async def _lock_claim(connection: AsyncConnection, claim: Claim) -> bool:
    """Whether the claim holds; then nobody takes it before the transaction ends."""
    statement = select(claims.c.account_id).where(*_is_held(claim)).with_for_update()
    return (await connection.execute(statement)).one_or_none() is not None


async def _finish(connection: AsyncConnection, statuses: Mapping[int, str]) -> None:
    if not statuses:
        return
    statement = (
        update(messages)
        .where(messages.c.id == bindparam("message"), messages.c.status == PENDING)
        .values(status=bindparam("outcome"), finished_at=func.now())
    )
    rows = [{"message": number, "outcome": status} for number, status in statuses.items()]
    await connection.execute(statement, rows)


async def postpone(engine: AsyncEngine, mail: Mail, delay: timedelta, *, error: str, counter: str | None) -> bool:
    """Make the mail due again after the delay, and what is due behind it; False when the claim was lost meanwhile.

    `counter` names the column that counts this failure; None: it was not the mail's.
    """
    counted = {} if counter is None else {counter: messages.c[counter] + 1}
    ours = messages.c.account_id == mail.claim.account_id, messages.c.status == PENDING
    again = func.now() + delay
    async with engine.begin() as connection:
        if not await _lock_claim(connection, mail.claim):
            return False
        postponed = update(messages).where(*ours, messages.c.mail_id == mail.id)
        await connection.execute(postponed.values(last_error=error, due_at=again, **counted))
        behind = update(messages).where(*ours, messages.c.due_at <= func.now())
        await connection.execute(behind.values(due_at=again))
        return True


async def give_up_mail(engine: AsyncEngine, mail: Mail, letter: GivenUp) -> int | None:
    """End the mail as failed with its dead letter; returns the letter's id, None when the claim was lost."""
    async with engine.begin() as connection:
        if not await _lock_claim(connection, mail.claim):
            return None
        reason = update(messages).where(messages.c.id.in_(mail.notices)).values(last_error=letter.reason)
        await connection.execute(reason)
        await _finish(connection, dict.fromkeys(mail.notices, FAILED))
        return await add_dead_letter(connection, letter)


async def requeue_mail(connection: AsyncConnection, number: int) -> bool:
    """Make a failed mail due at once, with all its attempts before it; False when it is not a failed one."""
    statement = (
        update(messages)
        .where(func.coalesce(messages.c.mail_id, messages.c.id) == number, messages.c.status == FAILED)
        .values(status=PENDING, due_at=func.now(), failures=0, address_checks=0, state_checks=0, finished_at=None)
    )
    return (await connection.execute(statement)).rowcount > 0
