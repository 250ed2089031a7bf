"""The events: past facts about one account, as they are stored, published and consumed.

Structs whose bounds are checked wherever one is read (`event_decoder`); the ledger's domain decides and folds the very
same types. The name of an event (`ledger.usage_settled`) stands in its CloudEvents type
(`solaris.ledger.usage_settled.v1`) and its subject (`solaris.ledger.usage_settled.<account>`).
"""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from contracts.balance import Cycle
from contracts.limits import MAX_INTEGER, Identifier, Moment, StoredMoment, Text, Tokens
from contracts.usage import Outcome, TokenUsage, UsageSource


class Actor(StrEnum):
    """Who made something happen: a person at the operator's verbs or the console, a payment, or a rule of our own."""

    OPERATOR = "operator"
    BILLING = "billing"
    SYSTEM = "system"


Percent = Annotated[int, Meta(ge=1, le=100)]


class Rates(Struct, frozen=True, kw_only=True):
    """What one model's tokens weigh and cost, as they stood when the hold was made.

    Weights are millionths of a billable token per provider token; prices are USD micros per million tokens.
    """

    prompt_weight_millionths: Tokens = 1_000_000
    cached_prompt_weight_millionths: Tokens = 1_000_000
    cache_write_weight_millionths: Tokens = 1_000_000
    completion_weight_millionths: Tokens = 1_000_000
    prompt_price_micros: Tokens = 0
    cached_prompt_price_micros: Tokens = 0
    cache_write_price_micros: Tokens = 0
    completion_price_micros: Tokens = 0

    @property
    def has_price(self) -> bool:
        """Whether anybody named a price: a model without one costs nothing that is known."""
        return bool(
            self.prompt_price_micros
            or self.cached_prompt_price_micros
            or self.cache_write_price_micros
            or self.completion_price_micros
        )


class RateLimits(Struct, frozen=True, kw_only=True):
    """Sustained calls and billable tokens per minute; None means unlimited. Bursts of up to one minute's worth pass."""

    requests_per_minute: Annotated[int, Meta(ge=1, le=MAX_INTEGER)] | None = None
    tokens_per_minute: Annotated[int, Meta(ge=1, le=MAX_INTEGER)] | None = None


class LotTokens(Struct, frozen=True, kw_only=True):
    """Tokens taken from, or given back to, one lot of credits.

    `expires_at` is the lot's date, if it has one; `ordinal` its place among the account's grants, by which one that was
    used up comes back where it stood (None: told by an older ledger).
    """

    lot_id: str
    tokens: Tokens
    expires_at: StoredMoment | None = None
    ordinal: int | None = None


class WindowRef(Struct, frozen=True, kw_only=True):
    """A capped budget window: `id` is `<scope>:<models>:<first day>`, `ends_at` when nothing more can enter it."""

    id: str
    ends_at: StoredMoment


class Charge(Struct, frozen=True, kw_only=True):
    """Where a charge was taken; the parts sum to it.

    The allowance first, then the lots, the soonest to expire first; then debt, or what a mode let through beyond the
    balance: that is unowed.
    """

    from_allowance: Tokens = 0
    from_credits: tuple[LotTokens, ...] = ()
    to_debt: Tokens = 0
    to_unowed: Tokens = 0


class GiveBack(Struct, frozen=True, kw_only=True):
    """A correction downwards, in reverse of the stored charge.

    `debt_cancelled` reduces open debt; debt that was repaid meanwhile returns as `correction_lot`; `lapsed` is the
    share of an allowance whose cycle is closed and of lots past their date. Other debt is repaid at once from what
    came back: `debt_repayment`. `unowed_cancelled` was never owed, and only stops being counted.
    """

    debt_cancelled: Tokens = 0
    correction_lot: LotTokens | None = None
    to_credits: tuple[LotTokens, ...] = ()
    to_allowance: Tokens = 0
    lapsed: Tokens = 0
    debt_repayment: Charge = Charge()
    unowed_cancelled: Tokens = 0


# --- gateway -----------------------------------------------------------------------------------------------------


class UsageRecorded(Struct, frozen=True, kw_only=True):
    """The one end of a reservation, told by the gateway. No prompt, no address, no name.

    `forwarded_without_hold`: the gateway forwarded the call though no hold was granted (LEDGER_FAILURE=open or
    ENFORCEMENT=observe). `observed`: what was granted did not bound it (ENFORCEMENT=observe). Times in milliseconds;
    `estimated_prompt_tokens` before any safety margin.
    """

    reservation_id: Identifier
    model: Text
    endpoint: Text
    usage: TokenUsage
    usage_source: UsageSource
    outcome: Outcome
    status: Annotated[int, Meta(ge=0, le=999)]
    started_at: Moment
    duration_ms: Tokens
    first_token_ms: Tokens | None = None
    estimated_prompt_tokens: Tokens = 0
    conversation_id: Text | None = None
    forwarded_without_hold: bool = False
    observed: bool = False


# --- ledger: the account -----------------------------------------------------------------------------------------


class AccountOpened(Struct, frozen=True, kw_only=True):
    """First event of every account; `anchor_day` 1 to 31 is the day of the month on which its cycles start."""

    plan: str
    status: str
    monthly_limit: Tokens
    rate_limits: RateLimits
    thresholds: tuple[Percent, ...]
    anchor_day: Annotated[int, Meta(ge=1, le=31)]
    time_zone: str
    cycle: Cycle
    catalog_version: str
    actor: Actor | None = None


class PlanChanged(Struct, frozen=True, kw_only=True):
    """`plan_tokens` is the plan's own allowance where the account keeps another limit; None: `monthly_limit` is it."""

    plan: str
    previous_plan: str
    monthly_limit: Tokens
    rate_limits: RateLimits
    debt_repaid: Tokens
    catalog_version: str
    plan_tokens: Tokens | None = None
    reason_id: str | None = None
    actor: Actor | None = None


class LimitChanged(Struct, frozen=True, kw_only=True):
    monthly_limit: Tokens
    previous_limit: Tokens
    debt_repaid: Tokens
    reason_id: str | None = None
    actor: Actor | None = None


class ThresholdsChanged(Struct, frozen=True, kw_only=True):
    thresholds: tuple[Percent, ...]
    reason_id: str | None = None
    actor: Actor | None = None


class RateLimitsChanged(Struct, frozen=True, kw_only=True):
    rate_limits: RateLimits
    reason_id: str | None = None
    actor: Actor | None = None


class StatusChanged(Struct, frozen=True, kw_only=True):
    """`reason_id` names the audit entry that holds what a person typed."""

    status: str
    previous_status: str
    reason_id: str | None = None
    actor: Actor | None = None


class CycleStarted(Struct, frozen=True, kw_only=True):
    """`closed_cycle_remaining` stays reserved for holds of the closed cycle while any is open."""

    cycle: Cycle
    closed_cycle_id: str
    closed_cycle_remaining: Tokens
    monthly_limit: Tokens
    debt_repaid: Tokens


class CycleCorrected(Struct, frozen=True, kw_only=True):
    """A cycle was started by a clock that was wrong: `cycle` is the one that runs, with all that was used in it.

    The account's time goes back to when this was decided: what was told before is of a time that has not come.
    `monthly_used` reaches to the limit at most; what was used beyond it, of an allowance that had not come, is
    `to_debt`.
    """

    cycle: Cycle
    replaced_cycle_id: str
    monthly_used: Tokens
    previous_monthly_used: Tokens
    reason_id: str | None = None
    actor: Actor | None = None
    to_debt: Tokens = 0


# --- ledger: reservations ----------------------------------------------------------------------------------------


class TokensReserved(Struct, frozen=True, kw_only=True):
    """A hold of `tokens` billable tokens, the worst case of one call.

    `output_tokens` is the granted output of one choice; `write_maximum` tells the gateway to write it into the
    request. `requests_allowed_at` and `tokens_allowed_at` are the rate limiters' theoretical arrival times (GCRA).
    `windows` are the capped budget windows that the hold stands in beside the month, which `cycle_id` names.
    `observed`: the call is made whatever the balance says (ENFORCEMENT=observe).
    """

    reservation_id: str
    tokens: Tokens
    prompt_tokens: Tokens
    output_tokens: Tokens
    choices: int
    write_maximum: bool
    available_after: int
    model: str
    endpoint: str
    cycle_id: str
    expires_at: StoredMoment
    rates: Rates
    catalog_version: str
    content_hash: str
    requests_allowed_at: StoredMoment | None = None
    tokens_allowed_at: StoredMoment | None = None
    windows: tuple[WindowRef, ...] = ()
    observed: bool = False


class ReservationReleased(Struct, frozen=True, kw_only=True):
    """Nothing was used. `tokens` is what the hold frees; None: no hold was open, the id is closed to a late reserve."""

    reservation_id: str
    tokens: Tokens | None
    cycle_id: str
    outcome: Outcome
    status: int
    model: str
    endpoint: str
    content_hash: str
    started_at: StoredMoment
    duration_ms: Tokens
    estimated_prompt_tokens: Tokens = 0
    conversation_id: str | None = None
    tokens_allowed_at: StoredMoment | None = None
    windows: tuple[WindowRef, ...] = ()


class ReservationExpired(Struct, frozen=True, kw_only=True):
    """No usage came within the hold's time: the whole hold is charged, flagged unsettled, corrected if usage comes.

    `reserved_at` and `endpoint` (None and empty in what an older ledger told) say of which day and call it was.
    """

    reservation_id: str
    tokens: Tokens
    billable_tokens: Tokens
    charge: Charge
    cycle_id: str
    model: str
    reserved_at: StoredMoment | None = None
    endpoint: str = ""
    windows: tuple[WindowRef, ...] = ()


class UsageSettled(Struct, frozen=True, kw_only=True):
    """Real usage, charged at the rates of the hold.

    `from_allowance`, `from_credits`, `to_debt` and `to_unowed` are the reservation's final split and sum to
    `billable_tokens`. `price_known` False: `cost_usd_micros` is 0 because nobody named a price (None: an older ledger).
    `conversation_id` is of older ledgers alone: what stays for ever names no conversation.
    `hold_tokens` is what the hold frees; None when no hold was open. A settlement that corrects
    an expired hold moves only the difference: `give_back` (less was used than charged) or `charged` (more was).
    A charge without a hold is `unreserved` and names its rates itself; else they stand in `TokensReserved`.
    """

    reservation_id: str
    model: str
    endpoint: str
    usage: TokenUsage
    usage_source: UsageSource
    outcome: Outcome
    status: int
    billable_tokens: Tokens
    from_allowance: Tokens
    from_credits: tuple[LotTokens, ...]
    to_debt: Tokens
    hold_tokens: Tokens | None
    cost_usd_micros: Tokens
    cycle_id: str
    catalog_version: str
    content_hash: str
    started_at: StoredMoment
    duration_ms: Tokens
    first_token_ms: Tokens | None = None
    estimated_prompt_tokens: Tokens = 0
    conversation_id: str | None = None
    unreserved: bool = False
    unreserved_rates: Rates | None = None
    corrects_billable_tokens: Tokens | None = None
    charged: Charge | None = None
    give_back: GiveBack | None = None
    tokens_allowed_at: StoredMoment | None = None
    to_unowed: Tokens = 0
    price_known: bool | None = None
    windows: tuple[WindowRef, ...] = ()


# --- ledger: credits ---------------------------------------------------------------------------------------------


class CreditsGranted(Struct, frozen=True, kw_only=True):
    """`tokens` were granted; `debt_repaid` of them repaid debt, the rest is the lot."""

    lot_id: str
    tokens: Tokens
    debt_repaid: Tokens
    source: str
    reference: str
    expires_at: StoredMoment | None = None
    reason_id: str | None = None
    actor: Actor | None = None


class CreditsRevoked(Struct, frozen=True, kw_only=True):
    """A refund: the lot's remainder goes, even if held; what was spent already becomes debt."""

    lot_id: str
    tokens: Tokens
    from_lot: Tokens
    to_debt: Tokens
    reference: str
    reason_id: str | None = None
    actor: Actor | None = None


class CreditsExpired(Struct, frozen=True, kw_only=True):
    """A promotional lot passed its date; tokens that open holds need stay until those end."""

    lot_id: str
    tokens: Tokens


# --- ledger: what people are told --------------------------------------------------------------------------------


class ThresholdCrossed(Struct, frozen=True, kw_only=True):
    percent: Percent
    monthly_used: Tokens
    monthly_limit: Tokens
    credits: Tokens
    cycle_id: str
    resets_at: StoredMoment


class AllowanceExhausted(Struct, frozen=True, kw_only=True):
    """`announced_by_threshold`: the 100 % threshold was crossed in the same decision and tells it already."""

    monthly_used: Tokens
    monthly_limit: Tokens
    credits: Tokens
    announced_by_threshold: bool
    cycle_id: str
    resets_at: StoredMoment


class TokensExhausted(Struct, frozen=True, kw_only=True):
    monthly_used: Tokens
    monthly_limit: Tokens
    credits: Tokens
    debt: Tokens
    cycle_id: str
    resets_at: StoredMoment


class AccessRestored(Struct, frozen=True, kw_only=True):
    monthly_used: Tokens
    monthly_limit: Tokens
    credits: Tokens
    debt: Tokens
    cycle_id: str
    resets_at: StoredMoment


LedgerEvent = (
    AccountOpened
    | PlanChanged
    | LimitChanged
    | ThresholdsChanged
    | RateLimitsChanged
    | StatusChanged
    | CycleStarted
    | CycleCorrected
    | TokensReserved
    | ReservationReleased
    | ReservationExpired
    | UsageSettled
    | CreditsGranted
    | CreditsRevoked
    | CreditsExpired
    | ThresholdCrossed
    | AllowanceExhausted
    | TokensExhausted
    | AccessRestored
)

LEDGER_EVENTS: Final[dict[str, type[LedgerEvent]]] = {
    "ledger.account_opened": AccountOpened,
    "ledger.plan_changed": PlanChanged,
    "ledger.limit_changed": LimitChanged,
    "ledger.thresholds_changed": ThresholdsChanged,
    "ledger.rate_limits_changed": RateLimitsChanged,
    "ledger.status_changed": StatusChanged,
    "ledger.cycle_started": CycleStarted,
    "ledger.cycle_corrected": CycleCorrected,
    "ledger.tokens_reserved": TokensReserved,
    "ledger.reservation_released": ReservationReleased,
    "ledger.reservation_expired": ReservationExpired,
    "ledger.usage_settled": UsageSettled,
    "ledger.credits_granted": CreditsGranted,
    "ledger.credits_revoked": CreditsRevoked,
    "ledger.credits_expired": CreditsExpired,
    "ledger.threshold_crossed": ThresholdCrossed,
    "ledger.allowance_exhausted": AllowanceExhausted,
    "ledger.tokens_exhausted": TokensExhausted,
    "ledger.access_restored": AccessRestored,
}
LEDGER_EVENT_NAMES: Final[dict[type, str]] = {event_type: name for name, event_type in LEDGER_EVENTS.items()}

USAGE_RECORDED: Final = "usage.recorded"
