"""The database's time, believed only as far as other clocks bear it out.

A clock that jumps for seconds must not start anybody's next month or expire a hold. A jump is passed over, and time
goes on as the monotonic clock counts it, until the database has told the new time steadily for a while: then the jump
was a correction, a suspended machine, or a stack that was off for weeks.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from ledger.metrics import CLOCK_JUMP

log = structlog.get_logger()

TOLERANCE: Final = timedelta(seconds=30)
"""Deviations that are simply followed: no rule of ours is finer."""
QUIET_BOUND: Final = timedelta(days=3)
"""A start so long after the last event, or before it by more than the tolerance, needs to be confirmed too."""
CONFIRM_SECONDS: Final = 60.0
SAME_CLOCK: Final = timedelta(milliseconds=1)
"""What the database tells between two looks at our own clock lies between them if both are one machine's clock."""

type OwnTimes = tuple[datetime, datetime]
"""Our machine's clock just before the database was asked, and just after it answered."""


class DatabaseClock:
    """One for all connections of a process; `monotonic` in seconds.

    While a time is doubted, accounts live by what is believed. So do holds, unless nothing but the log's age speaks
    against what the database tells: after a rest that time is nearly always right, and a hold that ended days ago would
    be charged in full under a call that is still running.
    """

    def __init__(
        self, *, confirm_seconds: float = CONFIRM_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._confirm_seconds = confirm_seconds
        self._monotonic = monotonic
        self._reference: tuple[datetime, float] | None = None
        self._suspected: tuple[datetime, float] | None = None
        self._jump = timedelta(0)
        self._starting = False
        self._stepped = False
        """Whether the doubted time went ahead while it was doubted: holds were granted by an earlier one before."""
        self._moved_at: float | None = None

    @property
    def jump_seconds(self) -> float:
        """By how much the database's clock is ahead of what is believed; 0 while it is believed."""
        return self._jump.total_seconds()

    async def doubt(self) -> str | None:
        """A note for readiness."""
        jump = self.jump_seconds
        return f"the database's clock has jumped by {jump:.0f} s and is not believed yet" if jump else None

    def now(self) -> datetime | None:
        """The time as of now, by which accounts live; None before the database was heard."""
        return None if self._reference is None else self._at(self._reference, self._monotonic())

    def hold_time(self) -> datetime | None:
        """The time as of now, by which holds live and deadlines are judged; None before the database was heard."""
        now = self.now()
        if now is None or not self._starting or self._suspected is None:
            return now
        return max(now, self._at(self._suspected, self._monotonic()))

    def can_end_holds(self, life: timedelta) -> bool:
        """Whether a hold that the time says is over really is, where holds live for `life`.

        Those granted while a jump was doubted end by the time of before, which is long ago once the jump is believed.
        """
        if self._jump or self._reference is None:
            return False
        return self._moved_at is None or self._monotonic() - self._moved_at >= life.total_seconds()

    def observe(
        self, told: datetime, last_event_at: datetime | None = None, own_times: OwnTimes | None = None
    ) -> datetime:
        """Hear what the database says just now; returns the time to decide by.

        `last_event_at`, the time of the log's last event, counts at the first observation alone, and only where no
        second clock, our own if it is another than the database's, bears out what is told.
        """
        at = self._monotonic()
        expected = self.now()
        if expected is None:
            expected = told
            if is_doubtful_start(told, last_event_at) and not _is_borne_out(told, own_times):
                assert last_event_at is not None, "only the log's age makes a start doubtful"
                expected, self._starting = last_event_at, True
            self._reference = (expected, at)
        if abs(told - expected) <= TOLERANCE:
            self._believe(told, at)
            return told
        if self._suspected is None or abs(told - self._at(self._suspected, at)) > TOLERANCE:
            self._stepped |= self._suspected is not None and told > self._at(self._suspected, at)
            self._suspected = (told, at)
            log.error("clock_jumped", told=told.isoformat(), expected=expected.isoformat(), starting=self._starting)
        elif at - self._suspected[1] >= self._confirm_seconds:
            log.warning("clock_jump_confirmed", told=told.isoformat(), expected=expected.isoformat())
            if self._stepped or not self._starting:
                self._moved_at = at
            self._believe(told, at)
            return told
        self._jump = told - expected
        CLOCK_JUMP.set(self.jump_seconds)
        return expected

    def _believe(self, told: datetime, at: float) -> None:
        self._reference = (told, at)
        if self._jump:
            self._jump = timedelta(0)
            CLOCK_JUMP.set(0)
        self._suspected = None
        self._starting = self._stepped = False

    @staticmethod
    def _at(observation: tuple[datetime, float], at: float) -> datetime:
        told, observed_at = observation
        return told + timedelta(seconds=at - observed_at)


def is_doubtful_start(told: datetime, last_event_at: datetime | None) -> bool:
    """Whether a time is so long after the log's last event, or before it, that it may be wrong."""
    return last_event_at is not None and not -TOLERANCE < told - last_event_at < QUIET_BOUND


def _is_borne_out(told: datetime, own_times: OwnTimes | None) -> bool:
    """Whether our own clock agrees, and is not the very clock that was asked."""
    if own_times is None:
        return False
    before, after = own_times
    is_another = told < before - SAME_CLOCK or told > after + SAME_CLOCK
    return is_another and abs(told - after) <= TOLERANCE
