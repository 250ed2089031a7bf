"""Rate limits by GCRA: one timestamp a limiter, one minute's worth of burst."""

from datetime import datetime, timedelta

from contracts.events.accounts import RateLimitsChanged
from msgspec import Struct

from ledger.domain.commands import ChangeRateLimits
from ledger.domain.decision import Decision, Draft

MINUTE = timedelta(minutes=1)
LONGEST = timedelta(days=3650)
"""An absurd amount under a small limit must not leave the calendar."""


class Pace(Struct, frozen=True):
    """`allowed_at` is the limiter's next theoretical arrival time; `retry_after` is set when the call must wait."""

    allowed_at: datetime | None
    retry_after: timedelta | None = None


def pace(allowed_at: datetime | None, per_minute: int | None, amount: int, now: datetime) -> Pace:
    """Ask to pass `amount` units at `now` (generic cell rate algorithm, as in ITU-T I.371, virtual scheduling).

    An amount above a whole minute's worth passes when the limiter is idle: it could pass at no other time.
    """
    if per_minute is None:
        return Pace(None)
    start = now if allowed_at is None or allowed_at < now else allowed_at
    increment = _increment(per_minute, amount)
    wait = start + increment - now - MINUTE
    if wait > timedelta(0) and start > now:
        # An oversized amount needs the limiter idle; any other needs only its own room.
        return Pace(allowed_at, min(wait, start - now))
    return Pace(start + increment)


def give_back_pace(allowed_at: datetime | None, per_minute: int | None, amount: int) -> datetime | None:
    """Return `amount` units that were paced but not used (negative: used beyond); None where nothing is limited."""
    if allowed_at is None or per_minute is None:
        return None
    return allowed_at - _increment(per_minute, amount)


def decide_rate_limits(draft: Draft, command: ChangeRateLimits) -> Decision:
    if command.rate_limits != draft.account.rate_limits:
        draft.emit(RateLimitsChanged(rate_limits=command.rate_limits, reason_id=command.reason_id, actor=command.actor))
    return draft.balance_answer()


def _increment(per_minute: int, amount: int) -> timedelta:
    microseconds = 60_000_000 * amount // per_minute
    longest = LONGEST // timedelta(microseconds=1)
    return timedelta(microseconds=max(-longest, min(microseconds, longest)))
