"""When a month of allowance starts and ends."""

from calendar import monthrange
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from contracts.balance import Cycle
from msgspec.structs import replace


def cycle_at(moment: datetime, anchor_day: int, time_zone: str) -> Cycle:
    """The cycle that contains `moment`.

    Cycles start at local midnight of `anchor_day`, or of the month's last day where the month is shorter. A midnight
    that a clock change skips starts at the first instant after the gap.
    """
    local = moment.astimezone(ZoneInfo(time_zone))
    cycle = _cycle_of_month(local.year, local.month, anchor_day, time_zone)
    if moment < cycle.starts_at:
        return _cycle_of_month(*_shifted(local.year, local.month, -1), anchor_day, time_zone)
    return cycle


def cycle_after(cycle: Cycle, anchor_day: int, time_zone: str) -> Cycle:
    """The cycle that starts when `cycle` ends.

    Where the time zone's law was changed meanwhile, that is no local midnight any more: the month that has just ended
    is not started again, and no moment is left out.
    """
    following = cycle_at(cycle.ends_at, anchor_day, time_zone)
    if following.id <= cycle.id:
        following = cycle_at(following.ends_at, anchor_day, time_zone)
    return replace(following, starts_at=cycle.ends_at)


def paid_cycle(running: Cycle, now: datetime, period_starts_at: datetime, anchor_day: int, time_zone: str) -> Cycle:
    """The cycle that a payment starts at `now`, in the midst of the one that is running.

    It ends at the first anchor after both moments: a period that starts by another's clock a little later than ours
    does not end within that little. Of several cycles that start on one day, the later ones count: `2026-11-26.2`.
    """
    day = f"{now.astimezone(ZoneInfo(time_zone)):%Y-%m-%d}"
    running_day, _, number = running.id.partition(".")
    return Cycle(
        id=f"{day}.{int(number or 1) + 1}" if running_day == day else day,
        starts_at=now.astimezone(UTC),
        ends_at=cycle_at(max(now, period_starts_at), anchor_day, time_zone).ends_at,
    )


def local_day(moment: datetime, time_zone: str) -> int:
    """Day of the month of `moment` in the time zone: the anchor of an account opened then."""
    return moment.astimezone(ZoneInfo(time_zone)).day


@lru_cache(maxsize=4096)
def _cycle_of_month(year: int, month: int, anchor_day: int, time_zone: str) -> Cycle:
    starts_at = _anchor(year, month, anchor_day, time_zone)
    next_year, next_month = _shifted(year, month, 1)
    return Cycle(
        id=f"{year:04}-{month:02}-{starts_at.astimezone(ZoneInfo(time_zone)).day:02}",
        starts_at=starts_at.astimezone(UTC),
        ends_at=_anchor(next_year, next_month, anchor_day, time_zone).astimezone(UTC),
    )


def _anchor(year: int, month: int, anchor_day: int, time_zone: str) -> datetime:
    day = min(anchor_day, monthrange(year, month)[1])
    return datetime(year, month, day, tzinfo=ZoneInfo(time_zone))


def _shifted(year: int, month: int, months: int) -> tuple[int, int]:
    index = year * 12 + (month - 1) + months
    return index // 12, index % 12 + 1
