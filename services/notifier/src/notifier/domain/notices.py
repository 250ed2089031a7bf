"""A notice: what one person is to be told once, and the key that makes it once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from contracts.envelope import CloudEvent
from contracts.events.notices import AccessRestored, AllowanceExhausted, ThresholdCrossed, TokensExhausted

_THRESHOLD_PREFIX: Final = "threshold-"

WARNING_LIFETIME: Final = timedelta(hours=24)
"""A warning that something nears its end, or that all is well again, is worth reading for a day only."""
NOTICE_LIFETIME: Final = timedelta(days=3)

type ToldEvent = ThresholdCrossed | AllowanceExhausted | TokensExhausted | AccessRestored
"""The data of the events that people are told about."""


class Tells(StrEnum):
    """What notices tell. It is their kind, but for a threshold's, which names the percent: `threshold-80`."""

    THRESHOLD = "threshold"
    ALLOWANCE_EXHAUSTED = "allowance-exhausted"
    TOKENS_EXHAUSTED = "tokens-exhausted"
    ACCESS_RESTORED = "access-restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The account's figures at one moment, in billable tokens."""

    monthly_used: int
    monthly_limit: int
    credits: int
    debt: int
    resets_at: datetime

    @property
    def monthly_remaining(self) -> int:
        return max(0, self.monthly_limit - self.monthly_used)

    @property
    def remaining(self) -> int:
        """All that is left to use, holds ignored; a debt takes from it, and it never shows as negative."""
        return max(0, self.monthly_remaining + self.credits - self.debt)

    @property
    def used_percent(self) -> int:
        """Rounded down, so that 100 stands only where the limit is reached; a limit of 0 is always used up."""
        return self.monthly_used * 100 // self.monthly_limit if self.monthly_limit else 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to one person. Account, cycle, kind and cause are its business key: once told, told for ever.

    `cause` is the limit that was reached, so that a raised limit may tell again; for `tokens-exhausted` and
    `access-restored` it is the event's id, since the ledger emits those once for every time that they happen.
    """

    account_id: str
    cycle_id: str
    kind: str
    cause: str
    figures: Figures
    occurred_at: datetime

    @property
    def key(self) -> tuple[str, ...]:
        return self.account_id, self.cycle_id, self.kind, self.cause

    @property
    def tells(self) -> Tells:
        return _told_by(self.kind)


def notice_of(event: CloudEvent[ToldEvent]) -> Notice | None:
    """The notice that an event asks for; None where the threshold of 100 % tells the same already."""
    data = event.data
    match data:
        case ThresholdCrossed():
            kind, cause, debt = f"{_THRESHOLD_PREFIX}{data.percent}", f"limit:{data.monthly_limit}", 0
        case AllowanceExhausted(announced_by_threshold=True):
            return None
        case AllowanceExhausted():
            kind, cause, debt = Tells.ALLOWANCE_EXHAUSTED.value, f"limit:{data.monthly_limit}", 0
        case TokensExhausted():
            kind, cause, debt = Tells.TOKENS_EXHAUSTED.value, f"event:{event.id}", data.debt
        case AccessRestored():
            kind, cause, debt = Tells.ACCESS_RESTORED.value, f"event:{event.id}", data.debt
        case _:
            assert_never(data)
    figures = Figures(
        monthly_used=data.monthly_used,
        monthly_limit=data.monthly_limit,
        credits=data.credits,
        debt=debt,
        resets_at=data.resets_at,
    )
    return Notice(
        account_id=event.subject,
        cycle_id=data.cycle_id,
        kind=kind,
        cause=cause,
        figures=figures,
        occurred_at=event.time,
    )


def event_type_of(kind: str) -> type[ToldEvent]:
    """The event that a notice of this kind tells of."""
    match _told_by(kind):
        case Tells.THRESHOLD:
            return ThresholdCrossed
        case Tells.ALLOWANCE_EXHAUSTED:
            return AllowanceExhausted
        case Tells.TOKENS_EXHAUSTED:
            return TokensExhausted
        case Tells.ACCESS_RESTORED:
            return AccessRestored


def _told_by(kind: str) -> Tells:
    # A kind of a newer notifier's raises ValueError: that mail is left to it, and never told as another.
    return Tells.THRESHOLD if kind.startswith(_THRESHOLD_PREFIX) else Tells(kind)


def threshold_percent(kind: str) -> int | None:
    """`threshold-80` → 80; None for the other kinds."""
    return int(kind.removeprefix(_THRESHOLD_PREFIX)) if kind.startswith(_THRESHOLD_PREFIX) else None


def is_stale(notice: Notice, now: datetime) -> bool:
    """Whether the news is no longer useful: the cycle has ended, or it lay too long."""
    percent = threshold_percent(notice.kind)
    is_warning = percent is not None and percent < 100
    lifetime = WARNING_LIFETIME if is_warning or notice.kind == Tells.ACCESS_RESTORED else NOTICE_LIFETIME
    return now >= notice.figures.resets_at or now - notice.occurred_at >= lifetime
