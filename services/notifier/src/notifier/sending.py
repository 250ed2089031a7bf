"""Sends what is due: asks for the address, renders, delivers, and remembers how it ended."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Final, Protocol

import structlog
from chassis.postgres import DATABASE_ERRORS
from contracts.accounts import subject_token
from contracts.events import LEDGER_EVENT_NAMES, AllowanceExhausted, ThresholdCrossed, TokensExhausted
from contracts.reservations import Profile
from contracts.subjects import event_subject
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import metrics, store
from notifier.dead_letters import Announcer
from notifier.domain.notices import ALLOWANCE_EXHAUSTED, TOKENS_EXHAUSTED, Notice, is_stale
from notifier.domain.retries import RetryPolicy
from notifier.mail.addresses import UnusableAddressError, usable_address
from notifier.mail.rendering import Addressee, MailStyle, render_mail
from notifier.mail.smtp import PermanentMailError, TransientMailError
from notifier.profiles import ProfileUnavailableError
from notifier.store import Claimed, GivenUp

MAX_AT_ONCE: Final = 8
LEASE: Final = timedelta(minutes=3)
"""Longer than the longest attempt: profile 3 s, delivery 30 s, and three statements of 10 s each."""
POLL_SECONDS: Final = 1.0
MARK_TRIES: Final = 3
MARK_DELAY_SECONDS: Final = 1.0

log = structlog.get_logger()
_notice: TypeAdapter[Notice] = TypeAdapter(Notice)


class Profiles(Protocol):
    """Where a person's address comes from."""

    async def fetch(self, account_id: str) -> Profile | None: ...


type Delivery = Callable[[EmailMessage, str], Awaitable[None]]
"""Hands a mail to the server for one recipient; raises `TransientMailError` or `PermanentMailError`."""


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Sends due messages until stopped; several may run, in one process or in many."""

    engine: AsyncEngine
    profiles: Profiles
    deliver: Delivery
    style: MailStyle
    announcer: Announcer
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    lease: timedelta = LEASE

    async def run(self, stop: asyncio.Event, due: asyncio.Event) -> None:
        """Work until `stop`; `due` says that something was queued just now."""
        while not stop.is_set():
            due.clear()
            try:
                taken = await self.send_due()
            except DATABASE_ERRORS as error:
                log.warning("due_messages_not_read", error=type(error).__name__)
                taken = 0
            if taken == 0:
                await _first_of(stop, due, POLL_SECONDS)

    async def send_due(self) -> int:
        """One round; returns how many messages were taken."""
        messages = await store.lease_due(self.engine, at_most=MAX_AT_ONCE, lease=self.lease)
        await asyncio.gather(*(self._handle(message) for message in messages))
        return len(messages)

    async def _handle(self, message: Claimed) -> None:
        try:
            try:
                await self._send(message)
            except DATABASE_ERRORS:
                raise
            except Exception as error:  # one message must neither stop the others nor be tried for ever
                # Its type alone: the text of an exception from here may quote the address.
                log.error("message_failed_unexpectedly", message=message.id, error=type(error).__name__)  # noqa: TRY400
                await self._retry(message, f"unexpected {type(error).__name__}", reason="unexpected")
        except DATABASE_ERRORS as error:
            # The lease ends by itself and the message is due again.
            log.warning("message_state_not_written", message=message.id, error=type(error).__name__)

    async def _send(self, message: Claimed) -> None:
        if is_stale(message.notice, datetime.now(UTC)):
            await self._end_unsent(message, store.STALE)
            return
        try:
            profile = await self.profiles.fetch(message.notice.account_id)
            address = usable_address(profile.email if profile else None)
        except ProfileUnavailableError as error:
            await self._retry(message, str(error), reason="ledger")
            return
        except UnusableAddressError:
            await self._recheck_address(message)
            return
        person = Addressee(
            email=address.addr_spec,
            name=profile.name if profile else None,
            locale=profile.locale if profile else None,
        )
        try:
            mail = render_mail(message.notice, person, self.style, now=datetime.now(UTC))
        except Exception as error:  # a mail that cannot be rendered must not stop all others
            await self._give_up(message, f"rendering failed: {type(error).__name__}")
            return
        try:
            await self.deliver(mail, address.addr_spec)
        except TransientMailError as error:
            await self._retry(message, f"smtp {error}", reason="smtp")
        except PermanentMailError as error:
            await self._give_up(message, f"smtp {error}")
        else:
            metrics.MAILS_SENT.labels(message.notice.kind).inc()
            log.info("mail_sent", message=message.id, kind=message.notice.kind, account_id=message.notice.account_id)
            await self._mark_sent(message)

    async def _mark_sent(self, message: Claimed) -> None:
        for attempt in range(1, MARK_TRIES + 1):
            try:
                await store.finish(self.engine, message, store.SENT)
            except DATABASE_ERRORS:
                if attempt == MARK_TRIES:
                    raise
                await asyncio.sleep(MARK_DELAY_SECONDS)
            else:
                return

    async def _end_unsent(self, message: Claimed, status: str) -> None:
        if await store.finish(self.engine, message, status):
            metrics.MAILS_NOT_SENT.labels(status).inc()
            log.warning("mail_not_sent", message=message.id, kind=message.notice.kind, reason=status)

    async def _recheck_address(self, message: Claimed) -> None:
        delay = self.policy.address_delay_after(message.address_checks + 1)
        if delay is None:
            await self._end_unsent(message, store.NO_ADDRESS)
        else:
            await store.postpone(self.engine, message, delay, error="no usable address", address_checked=True)

    async def _retry(self, message: Claimed, error: str, *, reason: str) -> None:
        metrics.MAIL_FAILURES.labels(reason).inc()
        delay = self.policy.delay_after(message.failures + 1)
        if delay is None:
            await self._give_up(message, error)
            return
        log.warning("mail_postponed", message=message.id, error=error, seconds=delay.total_seconds())
        await store.postpone(self.engine, message, delay, error=error)

    async def _give_up(self, message: Claimed, reason: str) -> None:
        letter = GivenUp(
            consumer=store.MAIL_CONSUMER,
            message_id=str(message.id),
            subject=_subject_of(message.notice),
            payload=_notice.dump_json(message.notice),
            reason=reason,
        )
        number = await store.give_up_mail(self.engine, message, letter)
        if number is not None:
            metrics.MAIL_FAILURES.labels("given_up").inc()
            await self.announcer.publish(number, letter)


def _subject_of(notice: Notice) -> str:
    data_types: dict[str, type] = {ALLOWANCE_EXHAUSTED: AllowanceExhausted, TOKENS_EXHAUSTED: TokensExhausted}
    data_type = data_types.get(notice.kind, ThresholdCrossed)
    return event_subject(LEDGER_EVENT_NAMES[data_type], subject_token(notice.account_id))


async def _first_of(stop: asyncio.Event, due: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.create_task(stop.wait()), asyncio.create_task(due.wait())]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
