"""Handles what Stripe told: each stored event says what to look at anew, and is done once that is done."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import structlog
from chassis.backoff import pause_after
from chassis.postgres import DATABASE_ERRORS
from contracts.codec import DECODE_ERRORS
from msgspec import Struct, json
from sqlalchemy.ext.asyncio import AsyncEngine

from billing import metrics
from billing.application.blame import is_outage
from billing.application.errors import ContendedOrderError, PurchasesOffError
from billing.domain.clues import clues_in
from billing.domain.webhooks import MAX_AGE, MAX_FAILURES, ReceivedEvent
from billing.store import webhook_events
from billing.store.webhook_events import ClaimedEvent
from billing.stripe_api.errors import StripeUnavailableError

LEASE: Final = timedelta(seconds=120)
"""Longer than handling one event takes, unless Stripe is slow in all of it: then another handles it too, which is
harmless. A worker that died is taken over from after it."""
RELEASE_SECONDS: Final = 1.0
HANDLED_AT_ONCE: Final = 8
POLL_SECONDS: Final = 1.0
FIRST_PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 600.0

log = structlog.get_logger()


class Followed(Struct, frozen=True, kw_only=True):
    """What an event turned out to be about, and in a word what came of looking at it."""

    outcome: str
    order_id: str | None = None
    subscription_id: str | None = None


class Follower(Protocol):
    """Something of ours that Stripe's events may be about; `wiring.py` lists all of them."""

    async def follow(self, event: ReceivedEvent) -> Followed | None:
        """Look anew at what the event is about; None: about nothing of this one's.

        It may be called with the same event again, and with events in any order. Whatever it raises has the event
        tried again later: StripeUnavailableError, ContendedOrderError and outages of Postgres without counting.
        """


class _Data(Struct, frozen=True):
    object: dict[str, Any]  # as Stripe has it


class _Event(Struct, frozen=True):
    data: _Data


_decode: Final = json.Decoder(_Event).decode


@dataclass(frozen=True, kw_only=True)
class WebhookWorker:
    """Handles stored events until it is stopped; any number of them may run, in one process or in many."""

    engine: AsyncEngine
    followers: Sequence[Follower]
    _wakeup: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def wake(self) -> None:
        """An event was stored just now."""
        self._wakeup.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()
        self._wakeup.set()

    async def run(self) -> None:
        """Work until `stop`, then let end what is under way; what is cancelled is handled again, which is harmless."""
        while not self._stopping.is_set():
            self._wakeup.clear()
            try:
                claimed = await webhook_events.claim(self.engine, at_most=HANDLED_AT_ONCE, lease=LEASE)
            except DATABASE_ERRORS as error:
                log.warning("webhooks_not_claimed", error=type(error).__name__)
                claimed = []
            if claimed:
                await self._handle_all(claimed)
                continue
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wakeup.wait()
            except TimeoutError:
                continue

    async def _handle_all(self, claimed: Sequence[ClaimedEvent]) -> None:
        try:
            await asyncio.gather(*(self._handle_guarded(event) for event in claimed))
        except asyncio.CancelledError:
            # Whoever comes next need not wait for the lease of one that is gone.
            with contextlib.suppress(TimeoutError, *DATABASE_ERRORS):
                async with asyncio.timeout(RELEASE_SECONDS):
                    await webhook_events.release(self.engine, claimed[0].holder)
            raise

    async def _handle_guarded(self, event: ClaimedEvent) -> None:
        try:
            await self._handle(event)
        except DATABASE_ERRORS as error:
            # It is due again once the lease is over.
            log.warning("webhook_not_written", event_id=event.id, error=type(error).__name__)

    async def _handle(self, event: ClaimedEvent) -> None:
        try:
            followed = await self._follow(event)
        except (StripeUnavailableError, PurchasesOffError, ContendedOrderError) as error:
            is_new = datetime.now(UTC) - event.received_at < MAX_AGE
            await (self._try_again(event, error, counts=False) if is_new else self._give_up(event, error))
        except Exception as error:  # one event must neither stop the others nor be tried for ever
            if is_outage(error):
                raise
            is_last = event.failures + 1 >= MAX_FAILURES
            await (self._give_up(event, error) if is_last else self._try_again(event, error, counts=True))
        else:
            await webhook_events.finish(
                self.engine,
                event,
                outcome="; ".join(dict.fromkeys(each.outcome for each in followed)) or "not ours",
                order_id=next((each.order_id for each in followed if each.order_id), None),
                subscription_id=next((each.subscription_id for each in followed if each.subscription_id), None),
            )
            metrics.WEBHOOKS_HANDLED.labels("handled" if followed else "ignored").inc()

    async def _follow(self, event: ClaimedEvent) -> list[Followed]:
        try:
            clues = clues_in(_decode(event.payload).data.object)
        except DECODE_ERRORS as error:
            raise ValueError("an event whose object can't be read") from error
        received = ReceivedEvent(
            id=event.id, type=event.type, received_at=event.received_at, failures=event.failures, clues=clues
        )
        found = [await follower.follow(received) for follower in self.followers]
        return [each for each in found if each is not None]

    async def _try_again(self, event: ClaimedEvent, error: Exception, *, counts: bool) -> None:
        waited_seconds = (datetime.now(UTC) - event.received_at).total_seconds()
        pause_seconds = (
            pause_after(event.failures + 1, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
            if counts
            # An outage: about as long again as it has waited already.
            else max(FIRST_PAUSE_SECONDS, min(waited_seconds, LONGEST_PAUSE_SECONDS))
        )
        log.warning("webhook_tried_again", event_id=event.id, type=event.type, error=_words(error))
        metrics.WEBHOOKS_HANDLED.labels("later").inc()
        await webhook_events.postpone(
            self.engine, event, timedelta(seconds=pause_seconds), error=_words(error), counts=counts
        )

    async def _give_up(self, event: ClaimedEvent, error: Exception) -> None:
        number = await webhook_events.give_up(self.engine, event, _words(error))
        metrics.WEBHOOKS_HANDLED.labels("given_up").inc()
        log.error("webhook_given_up", event_id=event.id, type=event.type, dead_letter=number, error=_words(error))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
