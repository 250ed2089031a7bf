"""How far our clock is from Stripe's, by the dates of its answers, and which time may end something."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import stripe
import structlog

from billing import metrics

TRUSTED: Final = timedelta(minutes=1)
"""A smaller difference may be the answer's way here."""
LOG_SECONDS: Final = 600.0

log = structlog.get_logger()


def our_time() -> datetime:
    return datetime.now(UTC)


class StripeClock:
    """What was heard last of Stripe's time; as long as nothing was, ours counts."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._logged_at = -LOG_SECONDS

    def hear(self, answer: stripe.StripeObject) -> None:
        """Take the date of an answer, where it has one."""
        response = answer.last_response
        told = None if response is None else response.headers.get("date")
        if told is None:
            return
        try:
            ahead = our_time() - parsedate_to_datetime(told)
        except (ValueError, TypeError):  # no date, or one of no time zone
            return
        self._ahead = ahead if abs(ahead) > TRUSTED else timedelta(0)
        metrics.CLOCK_SKEW.set(self._ahead.total_seconds())
        now = asyncio.get_running_loop().time()
        if self._ahead and now - self._logged_at >= LOG_SECONDS:
            self._logged_at = now
            log.error("clock_differs_from_stripes", ahead_seconds=round(self._ahead.total_seconds()))

    def now(self) -> datetime:
        """The earlier of Stripe's time and ours: one of them is wrong, and nothing shall end before its time."""
        return our_time() - max(self._ahead, timedelta(0))
