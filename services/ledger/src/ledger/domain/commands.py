"""What can be asked of an account; every command names one account."""

from datetime import datetime

from contracts.events.accounts import RateLimits
from contracts.events.actors import Actor
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
    """End a reservation by what the gateway recorded."""

    account_id: str
    usage: UsageRecorded
    content_hash: str

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


class GrantCredits(Struct, frozen=True, kw_only=True):
    account_id: str
    lot_id: str
    tokens: int
    source: str
    reference: str
    expires_at: datetime | None = None
    reason_id: str | None = None
    actor: Actor | None = None


class RevokeCredits(Struct, frozen=True, kw_only=True):
    """Take back `tokens` of a lot, as a refund does."""

    account_id: str
    lot_id: str
    tokens: int
    reference: str
    reason_id: str | None = None
    actor: Actor | None = None


class ChangePlan(Struct, frozen=True, kw_only=True):
    """The same plan again takes over what the catalog says of it now, and keeps another limit unless `reset_limit`."""

    account_id: str
    plan: str
    reset_limit: bool = False
    reason_id: str | None = None
    actor: Actor | None = None


class ChangeLimit(Struct, frozen=True, kw_only=True):
    account_id: str
    monthly_limit: int
    reason_id: str | None = None
    actor: Actor | None = None


class ChangeThresholds(Struct, frozen=True, kw_only=True):
    account_id: str
    thresholds: tuple[int, ...]
    reason_id: str | None = None
    actor: Actor | None = None


class ChangeRateLimits(Struct, frozen=True, kw_only=True):
    account_id: str
    rate_limits: RateLimits
    reason_id: str | None = None
    actor: Actor | None = None


class ChangeStatus(Struct, frozen=True, kw_only=True):
    account_id: str
    status: str
    reason_id: str | None = None
    actor: Actor | None = None


class CorrectCycle(Struct, frozen=True, kw_only=True):
    """Undo the start of a cycle whose time has not come; `used_before` is what its rightful cycle had used by then."""

    account_id: str
    used_before: int
    reason_id: str | None = None
    actor: Actor | None = None


Command = (
    OpenAccount
    | ReserveTokens
    | SettleUsage
    | ExpireReservation
    | AdvanceAccount
    | GrantCredits
    | RevokeCredits
    | ChangePlan
    | ChangeLimit
    | ChangeThresholds
    | ChangeRateLimits
    | ChangeStatus
    | CorrectCycle
)
