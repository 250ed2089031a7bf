"""What the ledger says that people are told of."""

from msgspec import Struct

from contracts.limits import Percent, StoredMoment, Tokens


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


class Standing(Struct, frozen=True, kw_only=True):
    """How an account stood when it could serve no call any more, or could again."""

    monthly_used: Tokens
    monthly_limit: Tokens
    credits: Tokens
    debt: Tokens
    cycle_id: str
    resets_at: StoredMoment


class TokensExhausted(Standing, frozen=True, kw_only=True):
    pass


class AccessRestored(Standing, frozen=True, kw_only=True):
    pass
