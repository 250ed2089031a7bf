"""How a mail ends, or why it waits: each outcome is written down, counted and logged."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NoReturn

import structlog
from chassis.dead_letters import GivenUp
from chassis.postgres import DATABASE_ERRORS
from contracts.accounts import subject_token
from contracts.codec import encode
from contracts.events.registry import BILLING_EVENT_NAMES, LEDGER_EVENT_NAMES
from contracts.subjects import event_subject
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import metrics
from notifier.domain.alerts import Alert
from notifier.domain.billing_notices import BillingNotice
from notifier.domain.composing import AnyNotice, Composed
from notifier.domain.notices import event_type_of
from notifier.domain.outage import Outage
from notifier.domain.receipts import Receipt
from notifier.domain.retries import RetryPolicy
from notifier.store import mails
from notifier.store.mails import Mail
from notifier.store.tables import LETTERS, MAIL_CONSUMER, NO_ADDRESS, OVERTAKEN, SENT, STALE, TOLD

MARK_DELAYS_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
"""A taken mail that is not marked is sent again: the database is waited for, for two minutes."""

log = structlog.get_logger()


class PostponedError(Exception):
    """This mail is not sent now; those behind it wait too."""


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What can become of a mail."""

    engine: AsyncEngine
    policy: RetryPolicy

    async def sent(self, mail: Mail, statuses: Mapping[int, str]) -> None:
        """The server has taken the mail."""
        for delay in MARK_DELAYS_SECONDS:
            try:
                await mails.finish(self.engine, mail, statuses)
            except DATABASE_ERRORS:
                await asyncio.sleep(delay)
            else:
                return
        await mails.finish(self.engine, mail, statuses)

    async def unsent(self, mail: Mail, statuses: Mapping[int, str]) -> None:
        """There is nothing to tell, or nobody to tell it to."""
        if await mails.finish(self.engine, mail, statuses):
            for number, status in statuses.items():
                metrics.MAILS_NOT_SENT.labels(status).inc()
                log.warning("mail_not_sent", mail=mail.id, kind=mail.notices[number].kind, reason=status)

    async def no_address(self, mail: Mail) -> None:
        """There is nobody to write to: looked up again for a while, then the end.

        Raises:
            PostponedError: it is looked up again.
        """
        delay = self.policy.address_delay_after(mail.address_checks + 1)
        if delay is None:
            await self.unsent(mail, dict.fromkeys(mail.notices, NO_ADDRESS))
        else:
            await self._postpone(mail, delay, "no usable address", counter="address_checks")

    async def no_state(self, mail: Mail, error: str) -> None:
        """The ledger does not say what the account is; returns once it was asked in vain for long enough.

        Raises:
            PostponedError: it is asked again.
        """
        delay = self.policy.state_delay_after(mail.state_checks + 1)
        if delay is None:
            log.warning("mail_without_state", mail=mail.id, error=error)
            return
        metrics.MAIL_FAILURES.labels("ledger").inc()
        await self._postpone(mail, delay, error, counter="state_checks")

    async def wait_for(self, outage: Outage, mail: Mail, error: str, *, reason: str) -> NoReturn:
        """Something that is not the mail's own failure.

        Raises:
            PostponedError: always.
        """
        metrics.MAIL_FAILURES.labels(reason).inc()
        delay = outage.failed(asyncio.get_running_loop().time())
        await self._postpone(mail, delay, error, counter=None)

    async def failed(self, mail: Mail, error: str, *, reason: str, uncertain: bool = False) -> None:
        """An attempt that failed by this mail; the last one gives it up. `uncertain`: the server may have taken it.

        Raises:
            PostponedError: it is tried again.
        """
        metrics.MAIL_FAILURES.labels(reason).inc()
        delay = self.policy.delay_after(mail.failures + 1)
        if delay is None:
            await self.given_up(mail, error, uncertain=uncertain)
        else:
            await self._postpone(mail, delay, error, counter="failures", uncertain=uncertain)

    async def given_up(self, mail: Mail, reason: str, *, uncertain: bool = False) -> None:
        """The end, with a dead letter. `uncertain`: the server may have taken it at the last attempt."""
        letter = GivenUp(
            consumer=MAIL_CONSUMER,
            message_id=str(mail.id),
            subject=_subject_of(mail.first),
            payload=encode(list(mail.notices.values())),
            reason=reason,
        )
        number = await mails.give_up_mail(self.engine, mail, letter, uncertain=uncertain or mail.is_settled)
        if number is not None:
            metrics.MAIL_FAILURES.labels("given_up").inc()
            log.error("mail_given_up", dead_letter=LETTERS.id_of(number), reason=reason)

    async def _postpone(
        self, mail: Mail, delay: timedelta, error: str, *, counter: str | None, uncertain: bool = False
    ) -> NoReturn:
        log.warning("mail_postponed", mail=mail.id, error=error, seconds=delay.total_seconds())
        settled = mail.is_settled or uncertain
        await mails.postpone(self.engine, mail, delay, error=error, counter=counter, settled=settled)
        raise PostponedError


def statuses_of(mail: Mail, composed: Composed[Alert] | Composed[Receipt]) -> dict[int, str]:
    """How each of the mail's messages ends once it is sent, or nothing is left to tell."""

    def status(notice: AnyNotice) -> str:
        if notice in composed.stale:
            return STALE
        if notice in composed.overtaken:
            return OVERTAKEN
        return SENT if composed.told is not None and notice == composed.told.lead else TOLD

    return {number: status(notice) for number, notice in mail.notices.items()}


def _subject_of(notice: AnyNotice) -> str:
    if isinstance(notice, BillingNotice):
        name = BILLING_EVENT_NAMES[type(notice.data)]
    else:
        name = LEDGER_EVENT_NAMES[event_type_of(notice.kind)]
    return event_subject(name, subject_token(notice.account_id))
