"""Writes to one account: gathers what waits, asks for address and state, composes, renders and delivers."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Final

import structlog
from chassis.postgres import DATABASE_ERRORS
from chassis.requests import AskError, UnusableAnswerError
from contracts.reads import BalanceRequest
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import metrics
from notifier.application.outcomes import Outcomes, PostponedError, statuses_of
from notifier.domain.alerts import Alert
from notifier.domain.billing_notices import BillingNotice, is_heard, question_about
from notifier.domain.composing import Composed, Standing
from notifier.domain.mails import compose, is_too_late
from notifier.domain.outage import Outage
from notifier.domain.receipts import Receipt
from notifier.mail.addresses import UnreachableAddressError, UnusableAddressError, usable_address
from notifier.mail.rendering import Addressee, MailStyle, render_mail
from notifier.mail.smtp import MailServerError, PermanentMailError, TransientMailError, UncertainMailError, Writing
from notifier.messaging.ledger_reads import LedgerReads
from notifier.store import claims, mails
from notifier.store.claims import Claim
from notifier.store.gathering import gather
from notifier.store.mails import Mail
from notifier.store.tables import NO_ADDRESS, STALE

EXTENSIONS_PER_LEASE: Final = 6

log = structlog.get_logger()


type Delivery = Callable[[Writing, str], Awaitable[bool]]
"""Hands a mail to the server for one recipient: see `send_mail`."""


class _UnwritableError(Exception):
    """This mail can't be rendered."""


@dataclass(frozen=True, kw_only=True)
class Courier:
    """Sends the mails of one account after the other; the outages are of the parts that every mail needs."""

    engine: AsyncEngine
    reads: LedgerReads
    deliver: Delivery
    style: MailStyle
    outcomes: Outcomes
    mail_server: Outage
    ledger: Outage

    async def serve(self, claim: Claim, lease: timedelta) -> None:
        """Send what is due for the account, oldest first, until one mail has to wait."""
        keeping = asyncio.create_task(self._keep(claim, lease))
        try:
            with contextlib.suppress(PostponedError):
                while (mail := await gather(self.engine, claim, lease=lease)) is not None:
                    await self._send_guarded(mail, lease)
                    if mail.is_last:
                        break  # what came meanwhile is another claim's
            await claims.release(self.engine, claim)
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
                if not await claims.extend(self.engine, claim, lease):
                    return
            except DATABASE_ERRORS as error:
                log.warning("claim_not_extended", account_id=claim.account_id, error=type(error).__name__)

    async def _send_guarded(self, mail: Mail, lease: timedelta) -> None:
        try:
            await self._send(mail, lease)
        except (*DATABASE_ERRORS, PostponedError):
            raise
        except Exception as error:  # one mail must neither stop the others nor be tried for ever
            # Its type alone: the text of an exception from here may quote the address.
            log.error("mail_failed_unexpectedly", mail=mail.id, error=type(error).__name__)  # noqa: TRY400
            reason = f"unexpected {type(error).__name__}"
            await self.outcomes.failed(mail, reason, reason="unexpected", uncertain=True)

    async def _send(self, mail: Mail, lease: timedelta) -> None:
        notices = list(mail.notices.values())
        if all(is_too_late(notice, datetime.now(UTC)) for notice in notices):
            await self.outcomes.unsent(mail, dict.fromkeys(mail.notices, STALE))
            return
        person = await self._find_person(mail)
        if person is None:
            return
        written: list[Composed[Alert] | Composed[Receipt]] = []

        async def write() -> EmailMessage | None:
            composed = compose(notices, mail.context, await self._find_standing(mail), datetime.now(UTC))
            written.append(composed)
            return None if composed.told is None else await self._render(mail, composed.told, person, lease)

        if not await self._deliver(mail, write, person.email):
            return
        (composed,) = written
        statuses = statuses_of(mail, composed)
        if composed.told is None:
            await self.outcomes.unsent(mail, statuses)
            return
        kind = composed.told.lead.kind
        metrics.MAILS_SENT.labels(kind).inc()
        log.info("mail_sent", mail=mail.id, kind=kind, account_id=mail.claim.account_id)
        await self.outcomes.sent(mail, statuses)

    async def _render(self, mail: Mail, telling: Alert | Receipt, person: Addressee, lease: timedelta) -> EmailMessage:
        try:
            message = render_mail(telling, person, self.style, now=datetime.now(UTC), named_after=mail.first)
        except Exception as error:  # a mail that cannot be rendered must not stop all others
            raise _UnwritableError(f"rendering failed: {type(error).__name__}") from error
        told = (telling.lead, *telling.others)
        named = [number for number, notice in mail.notices.items() if notice in told]
        if not await mails.settle(self.engine, mail, lease, named=named):
            log.warning("claim_lost", mail=mail.id)  # another process writes to the account now
            raise PostponedError
        return message

    async def _find_person(self, mail: Mail) -> Addressee | None:
        """Who reads the mail; None when the mail has ended since there is nobody."""
        try:
            profile = await self.reads.fetch_profile(mail.claim.account_id)
        except UnusableAnswerError as error:
            self.ledger.answered()
            await self.outcomes.failed(mail, f"ledger {error}", reason="ledger")
            return None
        except AskError as error:
            await self.outcomes.wait_for(self.ledger, mail, f"ledger {error}", reason="ledger")
        self.ledger.answered()
        try:
            address = usable_address(profile.email if profile else None)
        except UnreachableAddressError:
            await self.outcomes.unsent(mail, dict.fromkeys(mail.notices, NO_ADDRESS))
            return None
        except UnusableAddressError:
            await self.outcomes.no_address(mail)
            return None
        return Addressee(
            email=address.addr_spec,
            name=profile.name if profile else None,
            locale=profile.locale if profile else None,
        )

    async def _find_standing(self, mail: Mail) -> Standing | None:
        """What the account is now, with what the mail tells; None when the ledger was asked in vain for long enough."""
        data = mail.first.data if isinstance(mail.first, BillingNotice) else None
        question = BalanceRequest() if data is None else question_about(data)
        try:
            standing = await self.reads.fetch_standing(mail.claim.account_id, question)
        except AskError as error:
            await self.outcomes.no_state(mail, f"ledger {error}")
            return None
        if data is None or is_heard(data, standing.heard_revision):
            return standing
        await self.outcomes.no_state(mail, "ledger has not heard of it yet")
        return None

    async def _deliver(self, mail: Mail, write: Writing, recipient: str) -> bool:
        """Whether the mail is taken, or found to have nothing to tell; else it is given up."""
        try:
            await self.deliver(write, recipient)
        except MailServerError as error:
            await self.outcomes.wait_for(self.mail_server, mail, f"smtp {error}", reason="smtp")
        except TransientMailError as error:
            self.mail_server.answered()
            uncertain = isinstance(error, UncertainMailError)
            await self.outcomes.failed(mail, f"smtp {error}", reason="smtp", uncertain=uncertain)
            return False
        except PermanentMailError as error:
            self.mail_server.answered()
            await self.outcomes.given_up(mail, f"smtp {error}")
            return False
        except _UnwritableError as error:
            await self.outcomes.given_up(mail, str(error))
            return False
        self.mail_server.answered()
        return True
