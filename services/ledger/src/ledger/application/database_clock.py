"""The database's time, believed only as far as this process's monotonic clock bears it out.

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


class DatabaseClock:
    """One for all connections of a process; `monotonic` in seconds."""

    def __init__(
        self, *, confirm_seconds: float = CONFIRM_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._confirm_seconds = confirm_seconds
        self._monotonic = monotonic
        self._reference: tuple[datetime, float] | None = None
        self._suspected: tuple[datetime, float] | None = None
        self._jump = timedelta(0)

    @property
    def jump_seconds(self) -> float:
        """By how much the database's clock is ahead of what is believed; 0 while it is believed."""
        return self._jump.total_seconds()

    def now(self) -> datetime | None:
        """The time as of now; None before the database was heard."""
        if self._reference is None:
            return None
        told, at = self._reference
        return told + timedelta(seconds=self._monotonic() - at)

    def observe(self, told: datetime, last_event_at: datetime | None = None) -> datetime:
        """Hear what the database says just now; returns the time to decide by.

        `last_event_at`, the time of the log's last event, counts at the first observation alone.
        """
        at = self._monotonic()
        expected = self.now()
        if expected is None:
            expected = told
            if last_event_at is not None and not -TOLERANCE < told - last_event_at < QUIET_BOUND:
                expected = last_event_at
            self._reference = (expected, at)
        if abs(told - expected) <= TOLERANCE:
            self._believe(told, at)
            return told
        if self._suspected is None or abs(told - self._at(self._suspected, at)) > TOLERANCE:
            self._suspected = (told, at)
            log.error("clock_jumped", told=told.isoformat(), expected=expected.isoformat())
        elif at - self._suspected[1] >= self._confirm_seconds:
            log.warning("clock_jump_confirmed", told=told.isoformat(), expected=expected.isoformat())
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

    @staticmethod
    def _at(observation: tuple[datetime, float], at: float) -> datetime:
        told, observed_at = observation
        return told + timedelta(seconds=at - observed_at)
