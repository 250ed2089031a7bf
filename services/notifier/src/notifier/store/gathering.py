"""Gathers what waits for an account into its next mail."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final

from chassis.postgres import statements
from sqlalchemy import Row, Select, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from notifier.domain.billing_notices import may_reopen
from notifier.domain.composing import Context
from notifier.domain.notices import Tells
from notifier.store.claims import WAITS_FOR_NO_DISK, Claim, holds
from notifier.store.mails import Mail
from notifier.store.notices import billing_notice_in, notice_in, token_notice_in
from notifier.store.tables import KNOWN, SENT, TOLD, WAITING, messages

MAX_WAITING: Final = 100
"""Messages of one account that are looked at in one go."""
MAX_KNOWN_OF_BILLING: Final = 50
"""Of an account's notices of billing the latest, among which one may be that makes another untrue."""

_IS_TAKEN: Final = and_(messages.c.attempts > 0, messages.c.last_error.is_(None), messages.c.due_at > func.now())
"""Somebody is at it who did not claim the account: a process of release 0.1, or one of ours that died just now."""

type _Row = Row[*tuple[Any, ...]]  # SQLAlchemy types a row by its columns, up to ten of them


async def gather(engine: AsyncEngine, claim: Claim, *, lease: timedelta) -> Mail | None:
    """The account's next mail, to be sent now; None when nothing is due or the claim is lost.

    What the server may have taken before goes first and by itself: it stays the same mail. Then each notice of
    billing, the oldest first, with the ledger's word of restored access where that may have come of it. All the rest
    that waits is one mail, so what waited out an outage, or gathered for a window, is told together.
    """
    ours = messages.c.account_id == claim.account_id, messages.c.status.in_(WAITING), KNOWN
    due = exists().where(*ours, messages.c.due_at <= func.now()), ~exists().where(*ours, _IS_TAKEN)
    waiting = select(messages).where(*ours, *due).order_by(messages.c.created_at, messages.c.id).limit(MAX_WAITING)
    async with statements(engine) as connection:
        rows = (await connection.execute(waiting)).all()
        if not rows:
            return None
        members = _next_mail(rows)
        context = await _context(connection, claim.account_id, members, [row for row in rows if row not in members])
        attempt = (
            update(messages)
            .where(
                messages.c.id.in_(row.id for row in members), messages.c.status.in_(WAITING), ~_IS_TAKEN, holds(claim)
            )
            .values(attempts=messages.c.attempts + 1, due_at=func.now() + lease)
            .returning(WAITS_FOR_NO_DISK)
        )
        if len((await connection.execute(attempt)).all()) != len(members):
            return None
    return _mail(claim, members, context, is_last=len(members) == len(rows))


def _next_mail(rows: Sequence[_Row]) -> list[_Row]:
    """The rows of the next mail: that of billing, if it has one, first."""
    settled = next((row.mail_id for row in rows if row.mail_id is not None), None)
    if settled is not None:
        return sorted((row for row in rows if row.mail_id == settled), key=lambda row: row.event is None)
    of_billing = [row for row in rows if row.event is not None]
    if not of_billing:
        return list(rows)
    lead = min(of_billing, key=lambda row: row.occurred_at)
    if not may_reopen(billing_notice_in(lead).data):
        return [lead]
    return [lead, *(row for row in rows if row.kind == Tells.ACCESS_RESTORED)]


async def _context(
    connection: AsyncConnection, account_id: str, members: Sequence[_Row], others: Sequence[_Row]
) -> Context:
    told = await connection.execute(_told(account_id, {row.cycle_id for row in members if row.event is None}))
    billing = await connection.execute(_of_billing(account_id, members[0].id)) if members[0].event is not None else ()
    return Context(
        told=[token_notice_in(row) for row in told],
        later=[token_notice_in(row) for row in others if row.event is None],
        billing=[billing_notice_in(row) for row in billing],
    )


def _told(account_id: str, cycle_ids: Collection[str]) -> Select[Any]:
    """What the person was told in these cycles, and last about access, in whatever cycle that was."""
    is_told = or_(messages.c.status.in_((SENT, TOLD)), and_(messages.c.perhaps_told, messages.c.status.not_in(WAITING)))
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


def _of_billing(account_id: str, but_not: int) -> Select[Any]:
    theirs = messages.c.account_id == account_id, messages.c.event.is_not(None), KNOWN, messages.c.id != but_not
    return select(messages).where(*theirs).order_by(messages.c.occurred_at.desc()).limit(MAX_KNOWN_OF_BILLING)


def _mail(claim: Claim, members: Sequence[_Row], context: Context, *, is_last: bool) -> Mail:
    """Of the ledger's notices the youngest is to have all its attempts; one of billing has its own."""
    first = members[0]
    counted = members if first.event is None else members[:1]
    return Mail(
        id=first.mail_id or first.id,
        claim=claim,
        notices={row.id: notice_in(row) for row in members},
        context=context,
        is_settled=first.mail_id is not None,
        is_last=is_last,
        failures=min(row.failures for row in counted),
        address_checks=min(row.address_checks for row in counted),
        state_checks=min(row.state_checks for row in counted),
    )
