"""What a reconciliation is made of, between the comparing and the SQL."""

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

from contracts.events.rates import Rates
from msgspec import Struct


class Source(StrEnum):
    """Where the other side's figures come from: what LiteLLM told after each call, or what its database has."""

    CALLBACK = "litellm"
    SPEND_LOGS = "spend-logs"


class Tokens(NamedTuple):
    """Provider tokens; cached and cache-write ones are parts of the prompt, reasoning ones of the completion.

    A class that the other side does not tell is None.
    """

    prompt: int = 0
    completion: int = 0
    cached_prompt: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None

    @property
    def total(self) -> int:
        return self.prompt + self.completion


class UpstreamCall(Struct, frozen=True, kw_only=True):
    """One attempt of LiteLLM's, or all that have a call id in common; with nothing of what was said in it.

    `account_id` is empty where no end user was named, or none that could be an account, and `(several)` where the
    attempts name more than one. `cached`: LiteLLM answered out of its own cache, which cost nothing.
    """

    call_id: str
    account_id: str
    model: str
    started_at: datetime
    ended_at: datetime
    failed: bool
    cached: bool
    tokens: Tokens
    cost_usd_micros: int


class CallState(StrEnum):
    """How a reservation stands in the log."""

    OPEN = "open"
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"


class LedgerCall(Struct, frozen=True, kw_only=True):
    """One reservation as its last event tells it.

    `settlements` counts those that correct nothing: more than one is one too many. `told_at` is when the last event was
    decided. Where it was not settled, there are no tokens and no source.
    """

    call_id: str
    account_id: str
    state: CallState
    model: str
    endpoint: str
    started_at: datetime
    told_at: datetime
    settlements: int = 0
    usage_source: str = ""
    outcome: str = ""
    status: int = 0
    tokens: Tokens = Tokens()
    cost_usd_micros: int = 0
    price_known: bool | None = None
    unreserved: bool = False
    unreserved_rates: Rates | None = None
    catalog_version: str = ""
    content_hash: str = ""


class Kind(StrEnum):
    MATCHED = "matched"
    DIFFERENT = "different"
    MISSING_THERE = "missing_there"
    MISSING_HERE = "missing_here"


class Finding(Struct, frozen=True, kw_only=True):
    """A call that does not match, or a day's calls of a model where only sums are known (`call_id` is empty then)."""

    kind: Kind
    reason: str
    call_id: str
    account_id: str
    model: str
    day: date
    ours: Tokens | None
    theirs: Tokens | None
    our_cost_usd_micros: int | None
    their_cost_usd_micros: int | None
    correctable: bool = False


class Sums(NamedTuple):
    """Of a number of calls; costs are those of calls that both sides have a price for, or that one side lacks."""

    calls: int = 0
    matched: int = 0
    different: int = 0
    missing_there: int = 0
    missing_here: int = 0
    our_tokens: int = 0
    their_tokens: int = 0
    differing_tokens: int = 0
    our_cost_usd_micros: int = 0
    their_cost_usd_micros: int = 0
    differing_cost_usd_micros: int = 0

    def plus(self, other: "Sums") -> "Sums":
        return Sums(*[a + b for a, b in zip(self, other, strict=True)])

    @property
    def difference_percent(self) -> float:
        """Of tokens, of the side that has more; 100 where one side has nothing."""
        return _percent(self.differing_tokens, max(self.our_tokens, self.their_tokens))

    @property
    def cost_difference_percent(self) -> float:
        return _percent(self.differing_cost_usd_micros, max(self.our_cost_usd_micros, self.their_cost_usd_micros))


class Trigger(StrEnum):
    """Who had it run."""

    OPERATOR = "operator"
    NIGHTLY = "nightly"
    MONTHLY = "monthly"


class RunKey(Struct, frozen=True, kw_only=True):
    """What was reconciled: UTC days, both included, against a source or a file of that name."""

    trigger: Trigger
    source: str
    first_day: date
    last_day: date


class Run(Struct, frozen=True, kw_only=True):
    """A reconciliation that was made, as it is kept."""

    run_id: int
    key: RunKey
    ended_at: datetime
    sums: Sums
    difference_percent: float
    cost_difference_percent: float
    threshold_percent: float
    within_threshold: bool


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 4) if whole else 100.0 * bool(part)
