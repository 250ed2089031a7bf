"""Mails: what becomes of one that is being sent.

Whoever lost the account's claim changes nothing any more. Every change is one statement that commits itself: a process
that freezes between two statements holds no lock.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from chassis.dead_letters import GivenUp
from chassis.postgres import statements
from sqlalchemy import Update, and_, case, exists, func, literal, null, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.domain.composing import AnyNotice, Context
from notifier.store.claims import WAITS_FOR_NO_DISK, Claim, holds, is_held
from notifier.store.tables import FAILED, LETTERS, PENDING, PENDING_ALONE, WAITING, claims, messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """Notices that go out as one mail, and what else was or is to be told of the account.

    The first of them names it. `is_settled` once the server may have taken it: then it stays as it is. `failures`
    counts attempts that failed by this mail, `address_checks` those that found no address, `state_checks` those to
    which the ledger said nothing of the account. `is_last`: nothing else waits for the account.
    """

    id: int
    claim: Claim
    notices: Mapping[int, AnyNotice]
    context: Context
    is_settled: bool
    is_last: bool
    failures: int
    address_checks: int
    state_checks: int

    @property
    def first(self) -> AnyNotice:
        return next(iter(self.notices.values()))


async def settle(engine: AsyncEngine, mail: Mail, lease: timedelta, *, named: Collection[int]) -> bool:
    """Whether the claim still holds just before the mail is handed over; then the lease begins anew.

    `named` are the messages that the mail tells: whatever becomes of it, they were perhaps told. A process that dies
    after this leaves the mail to be sent as the same one.
    """
    extended = update(claims).where(*is_held(mail.claim)).values(until=func.now() + lease)
    held = extended.returning(claims.c.account_id).cte("held")
    settling = (
        update(messages)
        .where(messages.c.id.in_(mail.notices), messages.c.status.in_(WAITING), exists(held.select()))
        .values(mail_id=mail.id, perhaps_told=or_(messages.c.perhaps_told, messages.c.id.in_(named)))
        .returning(WAITS_FOR_NO_DISK)
    )
    async with statements(engine) as connection:
        return len((await connection.execute(settling)).all()) == len(mail.notices)


async def finish(engine: AsyncEngine, mail: Mail, statuses: Mapping[int, str]) -> bool:
    """End messages of the mail, each with its status; False when the claim was lost meanwhile."""
    async with statements(engine) as connection:
        ended = await connection.execute(_finishing(mail, statuses))
        return ended.rowcount > 0


def _finishing(mail: Mail, statuses: Mapping[int, str]) -> Update:
    return (
        update(messages)
        .where(messages.c.id.in_(statuses), messages.c.status.in_(WAITING), holds(mail.claim))
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
            messages.c.status.in_(WAITING),
            or_(is_this, messages.c.due_at <= func.now()),
            holds(mail.claim),
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

    One of the ledger's becomes one mail with what waits beside it.
    """
    statement = (
        update(messages)
        .where(func.coalesce(messages.c.mail_id, messages.c.id) == number, messages.c.status == FAILED)
        .values(
            status=case((messages.c.event.is_(None), PENDING), else_=PENDING_ALONE),
            mail_id=None,
            due_at=func.now(),
            failures=0,
            address_checks=0,
            state_checks=0,
            finished_at=None,
        )
    )
    return (await connection.execute(statement)).rowcount > 0
