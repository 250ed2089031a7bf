"""What can be asked of an account; every command names one account."""

from datetime import datetime

from contracts.balance import Cycle
from contracts.events.accounts import RateLimits
from contracts.events.actors import Actor
from contracts.events.reservations import CorrectedEstimate
from contracts.events.usage import UsageRecorded
from msgspec import Struct


class OpenAccount(Struct, frozen=True, kw_only=True):
    """Open the account if it is not open: `plan` None takes the default, `anchor_day` None the day of opening."""

    account_id: str
    plan: str | None = None
    anchor_day: int | None = None
    actor: Actor = Actor.SYSTEM


class ReserveTokens(Struct, frozen=True, kw_only=True):
    """Hold the worst case of one call; fields as in the gateway's request."""

    account_id: str
    reservation_id: str
    model: str
    endpoint: str
    prompt_tokens: int
    content_hash: str
    maximum_output_tokens: int | None = None
    model_output_tokens: int | None = None
    thinking_tokens: int = 0
    choices: int = 1
    output_free: bool = False
    observed: bool = False


class SettleUsage(Struct, frozen=True, kw_only=True):
    """End a reservation by what the gateway recorded, or by what somebody else knows of the call.

    `corrects_estimate`: what it ended by before, where that was our own count; it gives way to these figures once.
    """

    account_id: str
    usage: UsageRecorded
    content_hash: str
    corrects_estimate: CorrectedEstimate | None = None

    @property
    def reservation_id(self) -> str:
        return self.usage.reservation_id


class ExpireReservation(Struct, frozen=True, kw_only=True):
    """Charge a hold whose usage did not come."""

    account_id: str
    reservation_id: str


class AdvanceAccount(Struct, frozen=True, kw_only=True):
    """Start due cycles and retire expired lots."""

    account_id: str


class Administration(Struct, frozen=True, kw_only=True):
    """What a person or a payment asks; `reason_id` names the entry of the audit that says why."""

    account_id: str
    reason_id: str | None = None
    actor: Actor | None = None


class GrantCredits(Administration, frozen=True, kw_only=True):
    lot_id: str
    tokens: int
    source: str
    reference: str
    expires_at: datetime | None = None


class Revision(Struct, frozen=True):
    """The place of a command among all that billing says of one order or one subscription, from 1.

    A command that comes before its turn is refused as premature, unless `gap_allowed`: then what is missing before it
    is taken for lost.
    """

    number: int
    gap_allowed: bool = False


class RevokeCredits(Administration, frozen=True, kw_only=True):
    """Take back `tokens` of a lot, as a refund does; `revision` None where a person takes them back."""

    lot_id: str
    tokens: int
    reference: str
    revision: Revision | None = None


class RestoreCredits(Administration, frozen=True, kw_only=True):
    """Give `tokens` back to a lot that were revoked of it, as a won dispute does."""

    lot_id: str
    tokens: int
    reference: str
    revision: Revision | None = None


class SubscribePlan(Administration, frozen=True, kw_only=True):
    """A period of a subscription is paid, or its plan changed within one."""

    subscription_id: str
    revision: Revision
    plan: str
    period_starts_at: datetime
    period_ends_at: datetime


class EndSubscription(Administration, frozen=True, kw_only=True):
    """The subscription gives its plan no longer; `is_taken_back`: what was paid for its period is gone again."""

    subscription_id: str
    revision: Revision
    is_taken_back: bool = False


class ChangePlan(Administration, frozen=True, kw_only=True):
    """The same plan again takes over what the catalog says of it now, and keeps another limit unless `reset_limit`."""

    plan: str
    reset_limit: bool = False


class ChangeLimit(Administration, frozen=True, kw_only=True):
    monthly_limit: int


class ChangeThresholds(Administration, frozen=True, kw_only=True):
    thresholds: tuple[int, ...]


class ChangeRateLimits(Administration, frozen=True, kw_only=True):
    rate_limits: RateLimits


class ChangeStatus(Administration, frozen=True, kw_only=True):
    status: str


class CorrectCycle(Administration, frozen=True, kw_only=True):
    """Undo the start of a cycle whose time has not come; `used_before` is what its rightful cycle had used by then.

    `rightful` is the cycle that ran before, where that is known.
    """

    used_before: int
    rightful: Cycle | None = None


Command = (
    OpenAccount
    | ReserveTokens
    | SettleUsage
    | ExpireReservation
    | AdvanceAccount
    | GrantCredits
    | RevokeCredits
    | RestoreCredits
    | SubscribePlan
    | EndSubscription
    | ChangePlan
    | ChangeLimit
    | ChangeThresholds
    | ChangeRateLimits
    | ChangeStatus
    | CorrectCycle
)
