"""Mails: one process at a time claims an account and sends what waits for it, oldest first.

A claim is a row that lapses by itself, so no lock is held while a mail is on its way, and a process that died or froze
holds nobody up for longer than its lease. Whoever lost a claim changes nothing any more. Every change is one statement
that commits itself: a process that freezes between two statements holds no lock.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from chassis.dead_letters import GivenUp
from chassis.postgres import statements
from msgspec import convert
from sqlalchemy import (
    Exists,
    Row,
    Select,
    Update,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.domain.alerts import Context
from notifier.domain.notices import Figures, Notice, Tells
from notifier.store.tables import FAILED, LETTERS, PENDING, SENT, TOLD, claims, messages

MAX_WAITING: Final = 100
"""Messages of one account that are looked at in one go."""


_WAITS_FOR_NO_DISK: Final = func.set_config("synchronous_commit", "off", True)
"""Returned by statements whose effect need not outlive a crash of the database: the ledger's commits need the disk."""
_CLAIM: Final = text("""
    WITH oldest AS (
        SELECT account_id FROM notifier.messages AS waiting
        WHERE status = 'pending' AND due_at <= now() AND account_id <> ALL (CAST(:but_not AS varchar[]))
          AND NOT EXISTS (
              SELECT FROM notifier.claims WHERE claims.account_id = waiting.account_id AND claims.until > now()
          )
          -- Release 0.1 knows no claims: what it sends just now it took out of the queue alone.
          AND NOT EXISTS (
              SELECT FROM notifier.messages AS taken
              WHERE taken.account_id = waiting.account_id AND taken.status = 'pending'
                AND taken.attempts > 0 AND taken.last_error IS NULL AND taken.due_at > now()
          )
        ORDER BY due_at
        LIMIT :at_most
    ), lapsed AS (
        -- Skipped where somebody holds the row: nobody may keep all others waiting for one account.
        SELECT account_id FROM notifier.claims
        WHERE account_id IN (SELECT account_id FROM oldest) AND until <= now()
        FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE notifier.claims SET holder = CAST(:holder AS uuid), until = now() + CAST(:lease AS interval)
        FROM lapsed WHERE claims.account_id = lapsed.account_id
        RETURNING claims.account_id
    ), begun AS (
        INSERT INTO notifier.claims (account_id, holder, until)
        SELECT DISTINCT account_id, CAST(:holder AS uuid), now() + CAST(:lease AS interval) FROM oldest
        WHERE NOT EXISTS (SELECT FROM notifier.claims WHERE claims.account_id = oldest.account_id)
        ORDER BY account_id
        ON CONFLICT (account_id) DO NOTHING
        RETURNING account_id
    )
    SELECT account_id, set_config('synchronous_commit', 'off', true)
    FROM (SELECT account_id FROM taken UNION ALL SELECT account_id FROM begun) AS claimed
""")

_IS_TAKEN: Final = and_(messages.c.attempts > 0, messages.c.last_error.is_(None), messages.c.due_at > func.now())
"""Somebody is at it who did not claim the account: a process of release 0.1, or one of ours that died just now."""

type _Row = Row[*tuple[Any, ...]]  # SQLAlchemy types a row by its columns, up to ten of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """This process alone may send to the account, until the lease ends or another takes over."""

    account_id: str
    holder: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """Notices that go out as one mail, and what else was or is to be told of the account.

    `is_settled` once the server may have taken it: then it stays as it is. `failures` counts attempts that failed by
    this mail, `address_checks` those that found no address, `state_checks` those to which the ledger said nothing of
    the account. A mail has as many as the youngest of its notices, which is to have all its attempts.
    """

    id: int
    claim: Claim
    notices: Mapping[int, Notice]
    context: Context
    is_settled: bool
    failures: int
    address_checks: int
    state_checks: int


async def claim_due(
    engine: AsyncEngine, *, at_most: int, lease: timedelta, but_not: Collection[str] = ()
) -> list[Claim]:
    """Claim accounts with due messages that nobody else is sending to; `but_not` are this process's own."""
    holder = uuid4()
    values = {"at_most": at_most, "but_not": list(but_not), "holder": holder, "lease": lease}
    async with statements(engine) as connection:
        claimed = (await connection.execute(_CLAIM, values)).scalars().all()
    return [Claim(account_id=account_id, holder=holder) for account_id in claimed]


async def extend(engine: AsyncEngine, claim: Claim, lease: timedelta) -> bool:
    """Whether the claim still holds; then the lease begins anew."""
    statement = update(claims).where(*_is_held(claim)).values(until=func.now() + lease).returning(_WAITS_FOR_NO_DISK)
    async with statements(engine) as connection:
        return (await connection.execute(statement)).one_or_none() is not None


def _is_held(claim: Claim) -> tuple[Any, ...]:  # SQLAlchemy's comparisons
    return claims.c.account_id == claim.account_id, claims.c.holder == claim.holder


async def release(engine: AsyncEngine, claim: Claim) -> None:
    """Let others send to the account."""
    statement = delete(claims).where(*_is_held(claim)).returning(_WAITS_FOR_NO_DISK)
    async with statements(engine) as connection:
        await connection.execute(statement)


async def gather(engine: AsyncEngine, claim: Claim, *, lease: timedelta) -> Mail | None:
    """The account's next mail, to be sent now; None when nothing is due or the claim is lost.

    It is all that waits, so what waited out an outage, or gathered for a window, is one mail. What the server may have
    taken before goes first and by itself: it stays the same mail.
    """
    ours = messages.c.account_id == claim.account_id, messages.c.status == PENDING
    due = exists().where(*ours, messages.c.due_at <= func.now()), ~exists().where(*ours, _IS_TAKEN)
    waiting = select(messages).where(*ours, *due).order_by(messages.c.created_at, messages.c.id).limit(MAX_WAITING)
    async with statements(engine) as connection:
        rows = (await connection.execute(waiting)).all()
        if not rows:
            return None
        members = _next_mail(rows)
        told_rows = (await connection.execute(_told(claim.account_id, {row.cycle_id for row in members}))).all()
        attempt = (
            update(messages)
            .where(
                messages.c.id.in_(row.id for row in members), messages.c.status == PENDING, ~_IS_TAKEN, _holds(claim)
            )
            .values(attempts=messages.c.attempts + 1, due_at=func.now() + lease)
            .returning(_WAITS_FOR_NO_DISK)
        )
        if len((await connection.execute(attempt)).all()) != len(members):
            return None
    context = Context(
        told=[_notice(row) for row in told_rows], later=[_notice(row) for row in rows if row not in members]
    )
    return _mail(claim, members, context)


def _told(account_id: str, cycle_ids: Collection[str]) -> Select[Any]:
    """What the person was told in these cycles, and last about access, in whatever cycle that was."""
    is_told = or_(messages.c.status.in_((SENT, TOLD)), and_(messages.c.perhaps_told, messages.c.status != PENDING))
    theirs = messages.c.account_id == account_id, is_told
    last_about_access = (
        select(messages.c.id)
        .where(*theirs, messages.c.kind.in_((Tells.TOKENS_EXHAUSTED.value, Tells.ACCESS_RESTORED.value)))
        .order_by(messages.c.occurred_at.desc(), messages.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    told = or_(messages.c.cycle_id.in_(cycle_ids), messages.c.id == last_about_access)
    return select(messages).where(*theirs, told).order_by(messages.c.id)


def _holds(claim: Claim) -> Exists:
    return exists().where(*_is_held(claim))


def _next_mail(rows: Sequence[_Row]) -> list[_Row]:
    """Those of the mail that may be on its way already, else all."""
    settled = next((row.mail_id for row in rows if row.mail_id is not None), None)
    return [row for row in rows if row.mail_id == settled]


def _mail(claim: Claim, members: Sequence[_Row], context: Context) -> Mail:
    first = members[0]
    return Mail(
        id=first.mail_id or first.id,
        claim=claim,
        notices={row.id: _notice(row) for row in members},
        context=context,
        is_settled=first.mail_id is not None,
        failures=min(row.failures for row in members),
        address_checks=min(row.address_checks for row in members),
        state_checks=min(row.state_checks for row in members),
    )


async def settle(engine: AsyncEngine, mail: Mail, lease: timedelta, *, named: Collection[int]) -> bool:
    """Whether the claim still holds just before the mail is handed over; then the lease begins anew.

    `named` are the messages that the mail tells: whatever becomes of it, they were perhaps told. A process that dies
    after this leaves the mail to be sent as the same one.
    """
    extended = update(claims).where(*_is_held(mail.claim)).values(until=func.now() + lease)
    held = extended.returning(claims.c.account_id).cte("held")
    settling = (
        update(messages)
        .where(messages.c.id.in_(mail.notices), messages.c.status == PENDING, exists(held.select()))
        .values(mail_id=mail.id, perhaps_told=or_(messages.c.perhaps_told, messages.c.id.in_(named)))
        .returning(_WAITS_FOR_NO_DISK)
    )
    async with statements(engine) as connection:
        return len((await connection.execute(settling)).all()) == len(mail.notices)


def _notice(row: _Row) -> Notice:
    return Notice(
        account_id=row.account_id,
        cycle_id=row.cycle_id,
        kind=row.kind,
        cause=row.cause,
        figures=convert(row.figures, Figures),
        occurred_at=row.occurred_at,
    )


async def finish(engine: AsyncEngine, mail: Mail, statuses: Mapping[int, str]) -> bool:
    """End messages of the mail, each with its status; False when the claim was lost meanwhile."""
    async with statements(engine) as connection:
        ended = await connection.execute(_finishing(mail, statuses))
        return ended.rowcount > 0


def _finishing(mail: Mail, statuses: Mapping[int, str]) -> Update:
    return (
        update(messages)
        .where(messages.c.id.in_(statuses), messages.c.status == PENDING, _holds(mail.claim))
        .values(status=case(dict(statuses), value=messages.c.id), finished_at=func.now())
    )


async def postpone(
    engine: AsyncEngine, mail: Mail, delay: timedelta, *, error: str, counter: str | None, settled: bool
) -> bool:
    """Make the mail due again after the delay, and what is due behind it; False when the claim was lost meanwhile.

    `counter` names the column that counts this failure; None: it was not the mail's. Unless `settled`, what comes
    meanwhile joins it.
    """
    is_this = messages.c.id.in_(mail.notices)
    counted = {} if counter is None else {counter: messages.c[counter] + case((is_this, 1), else_=0)}
    statement = (
        update(messages)
        .where(
            messages.c.account_id == mail.claim.account_id,
            messages.c.status == PENDING,
            or_(is_this, messages.c.due_at <= func.now()),
            _holds(mail.claim),
        )
        .values(
            mail_id=case((is_this, mail.id if settled else null()), else_=messages.c.mail_id),
            perhaps_told=and_(messages.c.perhaps_told, or_(~is_this, literal(settled))),
            last_error=case((is_this, error), else_=messages.c.last_error),
            due_at=func.now() + delay,
            **counted,
        )
    )
    async with statements(engine) as connection:
        return (await connection.execute(statement)).rowcount > 0


async def give_up_mail(engine: AsyncEngine, mail: Mail, letter: GivenUp, *, uncertain: bool) -> int | None:
    """End the mail as failed with its dead letter; returns the letter's id, None when the claim was lost.

    Unless `uncertain`, no server can have taken it.
    """
    failing = _finishing(mail, dict.fromkeys(mail.notices, FAILED)).values(
        mail_id=mail.id, last_error=letter.reason, perhaps_told=and_(messages.c.perhaps_told, literal(uncertain))
    )
    failed = failing.returning(messages.c.id).cte("failed")
    async with statements(engine) as connection:
        return (await connection.execute(LETTERS.keeping(letter, exists(failed.select())))).scalar_one_or_none()


async def requeue_mail(connection: AsyncConnection, number: int) -> bool:
    """Make a failed mail's notices due at once, with all their attempts before them; False when it is not a failed one.

    It becomes one mail with what waits beside it.
    """
    statement = (
        update(messages)
        .where(func.coalesce(messages.c.mail_id, messages.c.id) == number, messages.c.status == FAILED)
        .values(
            status=PENDING,
            mail_id=None,
            due_at=func.now(),
            failures=0,
            address_checks=0,
            state_checks=0,
            finished_at=None,
        )
    )
    return (await connection.execute(statement)).rowcount > 0
