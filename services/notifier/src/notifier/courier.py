"""Writes to one account: asks for address and state, composes, renders, delivers, and remembers how it ended."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Final, NoReturn, Protocol

import structlog
from chassis.postgres import DATABASE_ERRORS
from contracts.accounts import subject_token
from contracts.events import LEDGER_EVENT_NAMES
from contracts.reservations import Profile
from contracts.subjects import event_subject
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import metrics
from notifier.dead_letters import Announcer
from notifier.domain.alerts import Alert, Composed, Standing, compose
from notifier.domain.notices import Notice, event_type_of, is_stale
from notifier.domain.outage import Outage
from notifier.domain.retries import RetryPolicy
from notifier.ledger_reads import LedgerSilentError, LedgerUnavailableError
from notifier.mail.addresses import UnusableAddressError, usable_address
from notifier.mail.rendering import Addressee, MailStyle, render_mail
from notifier.mail.smtp import MailServerError, PermanentMailError, TransientMailError, Writing
from notifier.store import mails
from notifier.store.dead_letters import GivenUp
from notifier.store.mails import Claim, Mail
from notifier.store.tables import MAIL_CONSUMER, NO_ADDRESS, OVERTAKEN, SENT, STALE, TOLD

EXTENSIONS_PER_LEASE: Final = 6
MARK_DELAYS_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
"""A taken mail that is not marked is sent again: the database is waited for, for two minutes."""

log = structlog.get_logger()
_notices: TypeAdapter[list[Notice]] = TypeAdapter(list[Notice])


class Reads(Protocol):
    """Where a person's address and an account's state come from."""

    async def fetch_profile(self, account_id: str) -> Profile | None: ...
    async def fetch_standing(self, account_id: str) -> Standing: ...


type Delivery = Callable[[Writing, str], Awaitable[bool]]
"""Hands a mail to the server for one recipient: see `send_mail`."""


class _UnwritableError(Exception):
    """This mail can't be rendered."""


class _PostponedError(Exception):
    """This mail is not sent now; those behind it wait too."""


@dataclass(frozen=True, kw_only=True)
class Courier:
    """Sends the mails of one account after the other; `window` is how long notices gather for one mail."""

    engine: AsyncEngine
    reads: Reads
    deliver: Delivery
    style: MailStyle
    announcer: Announcer
    window: timedelta
    mail_server: Outage
    ledger: Outage
    policy: RetryPolicy = field(default_factory=RetryPolicy)

    async def serve(self, claim: Claim, lease: timedelta) -> None:
        """Send what is due for the account, oldest first, until one mail has to wait."""
        keeping = asyncio.create_task(self._keep(claim, lease))
        try:
            with contextlib.suppress(_PostponedError):
                while (mail := await mails.gather(self.engine, claim, window=self.window, lease=lease)) is not None:
                    await self._send_guarded(mail, lease)
                    if not mail.context.later:
                        break  # what came meanwhile is another claim's
            await mails.release(self.engine, claim)
        except DATABASE_ERRORS as error:
            # The claim lapses by itself, and the mail is due again.
            log.warning("mail_state_not_written", account_id=claim.account_id, error=type(error).__name__)
        except Exception:  # a fault of ours about one account must not end the service for all
            log.exception("account_failed_unexpectedly", account_id=claim.account_id)
        finally:
            keeping.cancel()

    async def _keep(self, claim: Claim, lease: timedelta) -> None:
        """Extend the claim while its mails are on their way, for as long as this process lives and is not frozen."""
        while True:
            await asyncio.sleep(lease.total_seconds() / EXTENSIONS_PER_LEASE)
            try:
                if not await mails.extend(self.engine, claim, lease):
                    return
            except DATABASE_ERRORS as error:
                log.warning("claim_not_extended", account_id=claim.account_id, error=type(error).__name__)

    async def _send_guarded(self, mail: Mail, lease: timedelta) -> None:
        try:
            await self._send(mail, lease)
        except (*DATABASE_ERRORS, _PostponedError):
            raise
        except Exception as error:  # one mail must neither stop the others nor be tried for ever
            # Its type alone: the text of an exception from here may quote the address.
            log.error("mail_failed_unexpectedly", mail=mail.id, error=type(error).__name__)  # noqa: TRY400
            await self._retry(mail, f"unexpected {type(error).__name__}", reason="unexpected")

    async def _send(self, mail: Mail, lease: timedelta) -> None:
        notices = list(mail.notices.values())
        if all(is_stale(notice, datetime.now(UTC)) for notice in notices):
            await self._end_unsent(mail, dict.fromkeys(mail.notices, STALE))
            return
        person = await self._find_person(mail)
        if person is None:
            return
        written: list[Composed] = []

        async def write() -> EmailMessage | None:
            composed = compose(notices, mail.context, await self._find_standing(mail), datetime.now(UTC))
            written.append(composed)
            return None if composed.alert is None else await self._render(mail, composed.alert, person, lease)

        if not await self._deliver(mail, write, person.email):
            return
        (composed,) = written
        statuses = _statuses(mail, composed)
        if composed.alert is None:
            await self._end_unsent(mail, statuses)
            return
        kind = composed.alert.lead.kind
        metrics.MAILS_SENT.labels(kind).inc()
        log.info("mail_sent", mail=mail.id, kind=kind, account_id=mail.claim.account_id)
        await self._mark_sent(mail, statuses)

    async def _render(self, mail: Mail, alert: Alert, person: Addressee, lease: timedelta) -> EmailMessage:
        try:
            message = render_mail(alert, person, self.style, now=datetime.now(UTC))
        except Exception as error:  # a mail that cannot be rendered must not stop all others
            raise _UnwritableError(f"rendering failed: {type(error).__name__}") from error
        if not await mails.extend(self.engine, mail.claim, lease):
            log.warning("claim_lost", mail=mail.id)
            raise _PostponedError
        return message

    async def _find_person(self, mail: Mail) -> Addressee | None:
        """Who reads the mail; None when the mail has ended since there is nobody."""
        try:
            profile = await self.reads.fetch_profile(mail.claim.account_id)
        except LedgerSilentError as error:
            await self._wait_for(self.ledger, mail, str(error), reason="ledger")
        except LedgerUnavailableError as error:
            self.ledger.answered()
            await self._retry(mail, str(error), reason="ledger")
            return None
        self.ledger.answered()
        try:
            address = usable_address(profile.email if profile else None)
        except UnusableAddressError:
            await self._recheck_address(mail)
            return None
        return Addressee(
            email=address.addr_spec,
            name=profile.name if profile else None,
            locale=profile.locale if profile else None,
        )

    async def _find_standing(self, mail: Mail) -> Standing | None:
        """What the account is now; None when the ledger was asked in vain for long enough."""
        try:
            return await self.reads.fetch_standing(mail.claim.account_id)
        except LedgerUnavailableError as error:
            delay = self.policy.state_delay_after(mail.state_checks + 1)
            if delay is None:
                log.warning("mail_without_state", mail=mail.id, error=str(error))
                return None
            metrics.MAIL_FAILURES.labels("ledger").inc()
            await self._postpone(mail, delay, str(error), counter="state_checks")

    async def _deliver(self, mail: Mail, write: Writing, recipient: str) -> bool:
        """Whether the mail is taken, or found to have nothing to tell; else it is given up."""
        try:
            await self.deliver(write, recipient)
        except MailServerError as error:
            await self._wait_for(self.mail_server, mail, f"smtp {error}", reason="smtp")
        except TransientMailError as error:
            self.mail_server.answered()
            await self._retry(mail, f"smtp {error}", reason="smtp")
            return False
        except PermanentMailError as error:
            self.mail_server.answered()
            await self._give_up(mail, f"smtp {error}")
            return False
        except _UnwritableError as error:
            await self._give_up(mail, str(error))
            return False
        self.mail_server.answered()
        return True

    async def _mark_sent(self, mail: Mail, statuses: Mapping[int, str]) -> None:
        for delay in (*MARK_DELAYS_SECONDS, None):
            try:
                await mails.finish(self.engine, mail, statuses)
            except DATABASE_ERRORS:
                if delay is None:
                    raise
                await asyncio.sleep(delay)
            else:
                return

    async def _end_unsent(self, mail: Mail, statuses: Mapping[int, str]) -> None:
        if await mails.finish(self.engine, mail, statuses):
            for number, status in statuses.items():
                metrics.MAILS_NOT_SENT.labels(status).inc()
                log.warning("mail_not_sent", mail=mail.id, kind=mail.notices[number].kind, reason=status)

    async def _recheck_address(self, mail: Mail) -> None:
        delay = self.policy.address_delay_after(mail.address_checks + 1)
        if delay is None:
            await self._end_unsent(mail, dict.fromkeys(mail.notices, NO_ADDRESS))
        else:
            await self._postpone(mail, delay, "no usable address", counter="address_checks")

    async def _wait_for(self, outage: Outage, mail: Mail, error: str, *, reason: str) -> NoReturn:
        """Postpone the mail for something that is not its own failure."""
        metrics.MAIL_FAILURES.labels(reason).inc()
        delay = outage.failed(asyncio.get_running_loop().time())
        await self._postpone(mail, delay, error, counter=None)

    async def _retry(self, mail: Mail, error: str, *, reason: str) -> None:
        """Postpone the mail, or give it up after its last attempt."""
        metrics.MAIL_FAILURES.labels(reason).inc()
        delay = self.policy.delay_after(mail.failures + 1)
        if delay is None:
            await self._give_up(mail, error)
        else:
            await self._postpone(mail, delay, error, counter="failures")

    async def _postpone(self, mail: Mail, delay: timedelta, error: str, *, counter: str | None) -> NoReturn:
        log.warning("mail_postponed", mail=mail.id, error=error, seconds=delay.total_seconds())
        await mails.postpone(self.engine, mail, delay, error=error, counter=counter)
        raise _PostponedError

    async def _give_up(self, mail: Mail, reason: str) -> None:
        notices = list(mail.notices.values())
        letter = GivenUp(
            consumer=MAIL_CONSUMER,
            message_id=str(mail.id),
            subject=_subject_of(notices[0]),
            payload=_notices.dump_json(notices),
            reason=reason,
        )
        number = await mails.give_up_mail(self.engine, mail, letter)
        if number is not None:
            metrics.MAIL_FAILURES.labels("given_up").inc()
            await self.announcer.publish(number, letter)


def _statuses(mail: Mail, composed: Composed) -> dict[int, str]:
    """How each of the mail's messages ends once the alert is sent."""

    def status(notice: Notice) -> str:
        if notice in composed.stale:
            return STALE
        if notice in composed.overtaken:
            return OVERTAKEN
        return SENT if composed.alert is not None and notice == composed.alert.lead else TOLD

    return {number: status(notice) for number, notice in mail.notices.items()}


def _subject_of(notice: Notice) -> str:
    return event_subject(LEDGER_EVENT_NAMES[event_type_of(notice.kind)], subject_token(notice.account_id))
