"""What the ledger says of an account: its opening, what is set on it, its cycles."""

from typing import Annotated

from msgspec import Meta, Struct

from contracts.balance import Cycle
from contracts.events.actors import Actor
from contracts.events.billing import Revision
from contracts.limits import MAX_INTEGER, Percent, StoredMoment, Tokens


class RateLimits(Struct, frozen=True, kw_only=True):
    """Sustained calls and billable tokens per minute; None means unlimited. Bursts of up to one minute's worth pass."""

    requests_per_minute: Annotated[int, Meta(ge=1, le=MAX_INTEGER)] | None = None
    tokens_per_minute: Annotated[int, Meta(ge=1, le=MAX_INTEGER)] | None = None


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
    """`plan_tokens` is the plan's own allowance where the account keeps another limit; None: `monthly_limit` is it.

    `to_debt` was used beyond the new limit in a cycle that turned out not to be paid for: it is owed instead.
    """

    plan: str
    previous_plan: str
    monthly_limit: Tokens
    rate_limits: RateLimits
    debt_repaid: Tokens
    catalog_version: str
    plan_tokens: Tokens | None = None
    reason_id: str | None = None
    actor: Actor | None = None
    to_debt: Tokens = 0


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


class SubscriptionChanged(Struct, frozen=True, kw_only=True):
    """What billing said of one of the account's subscriptions; `revision` is billing's, from 1.

    `plan` is what it gives from now on, None where it gives none any more. `period_starts_at` and `period_ends_at` are
    the paid period's; where they are None it stays as it was. What becomes of the account's own plan and cycle is told
    by events of their own.
    """

    subscription_id: str
    revision: Revision
    plan: str | None
    period_starts_at: StoredMoment | None = None
    period_ends_at: StoredMoment | None = None
    actor: Actor | None = None


class CycleStarted(Struct, frozen=True, kw_only=True):
    """`closed_cycle_remaining` stays reserved for holds of the closed cycle while any is open.

    `anchor_day` is told where it changes with this cycle: a subscription's first paid period started it.
    """

    cycle: Cycle
    closed_cycle_id: str
    closed_cycle_remaining: Tokens
    monthly_limit: Tokens
    debt_repaid: Tokens
    anchor_day: Annotated[int, Meta(ge=1, le=31)] | None = None


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
