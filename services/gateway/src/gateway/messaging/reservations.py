"""Asks the ledger for holds, again with the same id until an answer or the deadline comes."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from chassis.backoff import Backoff
from chassis.core_nats.client import CoreNats
from chassis.requests import AskError, NobodyListensError, ask
from contracts import subjects
from contracts.accounts import subject_token
from contracts.codec import DECODE_ERRORS, encode
from contracts.errors import RefusalCode
from contracts.reads import ReadyAnswer
from contracts.reservations import Granted, Refused, ReserveAnswer, ReserveRequest
from msgspec import Struct, json
from msgspec.structs import replace
from nats.errors import Error, NoRespondersError

from gateway import metrics

log = structlog.get_logger()

READY_SECONDS: Final = 1.0
MAX_SKEW: Final = timedelta(seconds=1)
AGAIN_SECONDS: Final = 0.3
"""A ledger that has not answered by then may be frozen: all of them are asked."""
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 0.4
_AGAIN: Final = frozenset({RefusalCode.BUSY, RefusalCode.LEDGER_UNAVAILABLE})
_UNAVAILABLE: Final = _AGAIN | {RefusalCode.LATE, RefusalCode.RESERVATION_CLOSED, RefusalCode.CONFLICT}

_decode_reserve = json.Decoder(ReserveAnswer).decode
_decode_ready = json.Decoder(ReadyAnswer).decode


class Unavailable(Struct, frozen=True):
    """No answer by the deadline; a hold may or may not stand."""

    reason: str


class Reservation(Struct, frozen=True):
    """The ledger's word. `doubtful`: some attempt's fate is unknown, so that its id must be closed by a record."""

    answer: Granted | Refused | Unavailable
    doubtful: bool


class Reserver:
    """Reserves within `deadline_seconds`, each attempt within `attempt_seconds`."""

    def __init__(self, client: CoreNats, *, deadline_seconds: float, attempt_seconds: float) -> None:
        self._client = client
        self._deadline_seconds = deadline_seconds
        self._attempt_seconds = attempt_seconds
        self._patience = timedelta(seconds=deadline_seconds)
        self._skew = timedelta(0)
        metrics.CLOCK_SKEW.set_function(lambda: self.skew_seconds)

    @property
    def skew_seconds(self) -> float:
        """By how much our clock is ahead of the ledger's, as far as that was heard."""
        return self._skew.total_seconds()

    def deadline(self) -> datetime:
        """The deadline of a reserve that starts now, by the clock of the ledger, which judges it."""
        return datetime.now(UTC) + (self._patience - self._skew)

    async def reserve(self, request: ReserveRequest, *, patient: bool) -> Reservation:
        """The answer to one reserve; while disconnected nothing is sent.

        Without an answer a `patient` caller is refused, and waits until the deadline. Any other goes on without a
        hold, and waits for one attempt at most: an outage of the ledger must not slow every chat down.
        """
        token = subject_token(request.account_id)
        one, all_of_them = f"{subjects.RESERVE_PREFIX}.{token}", f"{subjects.RESERVE_AGAIN_PREFIX}.{token}"
        subject, attempt_seconds = one, min(AGAIN_SECONDS, self._attempt_seconds)
        ends_at = time.monotonic() + (self._deadline_seconds if patient else self._attempt_seconds)
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        doubtful, reason = False, "not connected"
        while (left := ends_at - time.monotonic()) > 0:
            if not self._client.is_connected:
                if not (patient and await self._client.wait_connected(left)):
                    break
                left = max(0.001, ends_at - time.monotonic())
            try:
                told = await self._client.request(subject, encode(request), seconds=min(attempt_seconds, left))
                answer = _decode_reserve(told)
            except NoRespondersError:
                # An older ledger does not hear what is asked of all.
                subject, reason = one, "no ledger is listening"
            except TimeoutError:  # here another thing than a lost connection; `ask` has one name for both
                doubtful, reason = True, "no answer"
                subject, attempt_seconds = all_of_them, self._attempt_seconds
                continue
            except Error as error:
                doubtful, reason = True, type(error).__name__
            except DECODE_ERRORS:
                log.error("reserve_answer_unreadable", request_id=request.reservation_id)  # noqa: TRY400  no secrets
                doubtful, reason = True, "unreadable answer"
            else:
                if answer.granted is not None:
                    return Reservation(answer.granted, doubtful)
                if answer.refused is not None and answer.refused.code not in _UNAVAILABLE:
                    return Reservation(answer.refused, doubtful)
                reason = answer.refused.code if answer.refused is not None else "empty answer"
                if reason is RefusalCode.LATE and await self._hear_skew():
                    request = replace(request, deadline=self.deadline())
                    continue
                if answer.refused is not None and answer.refused.code not in _AGAIN:
                    break
                # Another may be able to, where this one is not; but what is busy must not get all the others.
                subject = one if reason is RefusalCode.BUSY else all_of_them
            await backoff.pause(at_most_seconds=ends_at - time.monotonic())
        log.warning("reserve_unanswered", request_id=request.reservation_id, reason=reason)
        return Reservation(Unavailable(reason), doubtful=True)

    async def why_not_ready(self) -> str | None:
        """None when a reserve would be answered now, else the failing part."""
        if not self._client.is_connected:
            return "not connected to NATS"
        try:
            answer = await self._ask_ready()
        except NobodyListensError:
            return "no ledger is listening"
        except AskError as error:
            return f"no answer from the ledger: {error}"
        if not answer.ready:
            return answer.error or "the ledger is not ready"
        # A ledger that doubts the time still answers, by deadlines of its own time: no chat waits for a doubt.
        if abs(self._skew) > MAX_SKEW and not answer.clock_doubt_seconds:
            return f"our clock is {self.skew_seconds:+.1f} s from the ledger's"
        return None

    async def _ask_ready(self) -> ReadyAnswer:
        asked_at, started = datetime.now(UTC), time.monotonic()
        answer = await ask(self._client, subjects.READ_READY, _decode_ready, seconds=READY_SECONDS)
        if answer.time is not None:
            halfway = asked_at + timedelta(seconds=(time.monotonic() - started) / 2)
            skew = halfway - answer.time
            if abs(skew) > MAX_SKEW and abs(self._skew) <= MAX_SKEW:
                log.error("clock_skewed", seconds=skew.total_seconds())
            self._skew = skew
        return answer

    async def _hear_skew(self) -> bool:
        """Whether the ledger's clock was heard to be another than was thought."""
        before = self._skew
        try:
            await self._ask_ready()
        except AskError:
            return False
        return abs(self._skew - before) > MAX_SKEW
