"""What usage is made of, between the counting and the SQL."""

from collections import Counter
from datetime import datetime
from typing import Final, NamedTuple

from msgspec import Struct, field


class UsageKey(NamedTuple):
    """What a row is of; `starts_at` is the beginning of a quarter hour, in UTC."""

    account_id: str
    starts_at: datetime
    model: str
    endpoint: str


class ReservationKey(NamedTuple):
    account_id: str
    reservation_id: str


class Estimate(NamedTuple):
    """A hold that was charged in full since no usage came, and where it is counted until usage does."""

    row: UsageKey
    billable_tokens: int


class Figures(NamedTuple):
    """Of a number of calls; provider tokens as in `TokenUsage`: cached and cache-write ones are parts of the prompt.

    `unsettled_calls` were charged by their holds (`unsettled_billable_tokens`), with no figures of a provider. Of
    `estimated_calls` the tokens are our own count; of `unpriced_calls` nobody knows the cost, and they add none.
    """

    calls: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    cache_write_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    billable_tokens: int = 0
    cost_usd_micros: int = 0
    unsettled_calls: int = 0
    unsettled_billable_tokens: int = 0
    estimated_calls: int = 0
    unpriced_calls: int = 0


NOTHING: Final = Figures()


class UsageChanges(Struct):
    """What a page of events adds to rows, and which estimates begin or end with it.

    `active` are accounts that began a call, with the quarter hour of it; `opened` counts new accounts by theirs.
    """

    added: dict[UsageKey, Figures] = field(default_factory=dict)
    begun: dict[ReservationKey, Estimate] = field(default_factory=dict)
    ended: set[ReservationKey] = field(default_factory=set)
    active: set[tuple[str, datetime]] = field(default_factory=set)
    opened: Counter[datetime] = field(default_factory=Counter)

    def add(self, row: UsageKey, figures: Figures) -> None:
        known = self.added.get(row)
        # Written out: it is done for every call of the log.
        self.added[row] = figures if known is None else Figures(*[a + b for a, b in zip(known, figures, strict=True)])
