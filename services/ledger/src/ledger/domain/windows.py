"""Budget windows: how much may be used within a day, a week or a month, of all models or of some.

The month of the plan is one of them: it is always there, and what lies beyond it is taken from credits. Every other
is a cap: nothing lies beyond it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from zoneinfo import ZoneInfo

from contracts.balance import Cycle
from contracts.events.reservations import WindowRef
from msgspec import Struct
from msgspec.structs import replace

EVERY_MODEL = "*"


class Scope(StrEnum):
    """Days and weeks are of the account's time zone, weeks begin on Mondays; a month is the account's cycle."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Cap(Struct, frozen=True):
    """At most `tokens` billable tokens in each window of the scope, by the models that `models` names (a pattern)."""

    scope: Scope
    tokens: int
    models: str = EVERY_MODEL

    def covers(self, model: str) -> bool:
        return self.models == EVERY_MODEL or fnmatchcase(model, self.models)


class Window(Struct, frozen=True):
    """One window; `used` and `held` in billable tokens. It is kept until it has ended and no hold in it is open."""

    id: str
    ends_at: datetime
    used: int = 0
    held: int = 0


class Room(Struct, frozen=True):
    """What a call may take of the balance or, with a `cap`, of one of its windows; `held` has been taken off."""

    left: int
    held: int
    renewed_at: datetime
    cap: Cap | None = None

    @property
    def left_without_holds(self) -> int:
        return self.left + self.held


def windows_of(
    caps: Sequence[Cap], model: str, cycle: Cycle, now: datetime, time_zone: str
) -> tuple[tuple[Cap, WindowRef], ...]:
    """The windows beside the plan's month that a call of `model` at `now` stands in, one a cap that covers it."""
    if not caps:
        return ()
    return tuple((cap, _window_of(cap, cycle, now, time_zone)) for cap in caps if cap.covers(model))


def room_in(windows: Sequence[Window], cap: Cap, ref: WindowRef) -> Room:
    """What a cap still allows in one of its windows."""
    window = next((window for window in windows if window.id == ref.id), None) or Window(ref.id, ref.ends_at)
    return Room(cap.tokens - window.used - window.held, window.held, window.ends_at, cap)


def moved(
    windows: tuple[Window, ...], refs: Sequence[WindowRef], at: datetime, *, used: int = 0, held: int = 0
) -> tuple[Window, ...]:
    """The windows after what a call changed of those that it stands in; what has ended with nothing held goes."""
    known = {window.id: window for window in windows}
    for ref in refs:
        window = known.get(ref.id) or Window(ref.id, ref.ends_at)
        known[ref.id] = replace(window, used=window.used + used, held=window.held + held)
    return tuple(window for window in known.values() if window.held or window.ends_at > at)


def _window_of(cap: Cap, cycle: Cycle, now: datetime, time_zone: str) -> WindowRef:
    if cap.scope is Scope.MONTH:
        return WindowRef(id=f"{Scope.MONTH}:{cap.models}:{cycle.id}", ends_at=cycle.ends_at)
    first, ends_at = _period_of(cap.scope, now.astimezone(ZoneInfo(time_zone)).strftime("%Y-%m-%d"), time_zone)
    return WindowRef(id=f"{cap.scope}:{cap.models}:{first}", ends_at=ends_at)


@lru_cache(maxsize=1024)
def _period_of(scope: Scope, day: str, time_zone: str) -> tuple[str, datetime]:
    """First day and end of the day or week that a local day lies in."""
    first = datetime.strptime(day, "%Y-%m-%d")  # noqa: DTZ007  a calendar day, without a time
    length = timedelta(days=1)
    if scope is Scope.WEEK:
        first -= timedelta(days=first.weekday())
        length = timedelta(days=7)
    ends_at = (first + length).replace(tzinfo=ZoneInfo(time_zone)).astimezone(UTC)
    return f"{first:%Y-%m-%d}", ends_at
