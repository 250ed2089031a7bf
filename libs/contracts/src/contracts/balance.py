"""The balance object: what an account may still use, in billable tokens."""

from msgspec import Struct

from contracts.limits import SignedTokens, StoredMoment, Tokens


class Cycle(Struct, frozen=True, kw_only=True):
    """One month of allowance; `starts_at` inclusive, `ends_at` exclusive, both UTC."""

    id: str
    starts_at: StoredMoment
    ends_at: StoredMoment


class Balance(Struct, frozen=True, kw_only=True):
    """`available` = `monthly_remaining` + `credits` - `held` - `debt`; `held` is 0 when nothing is in flight.

    `unowed` is what was used beyond the balance because a mode let it through: recorded, and never to be repaid.
    """

    account_id: str
    plan: str
    status: str
    cycle: Cycle
    monthly_limit: Tokens
    monthly_used: Tokens
    monthly_remaining: Tokens
    credits: Tokens
    held: Tokens
    debt: Tokens
    available: SignedTokens
    unowed: Tokens = 0
