"""What a statement is made of, between the folding and the SQL."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from ledger.domain.account import Account


class Kind(StrEnum):
    """What moved the tokens of an account, or the limit that they are counted against.

    `unsettled` is a hold that was charged since no usage came, `correction` the usage that came after all, or the
    provider's figures where we had counted ourselves.
    """

    OPENED = "opened"
    CALL = "call"
    UNSETTLED = "unsettled"
    CORRECTION = "correction"
    GRANT = "grant"
    REVOCATION = "revocation"
    RESTORATION = "restoration"
    EXPIRY = "expiry"
    PLAN = "plan"
    LIMIT = "limit"
    CYCLE = "cycle"
    CYCLE_CORRECTION = "cycle_correction"


class Terms(NamedTuple):
    """Of a hold: where the log has it (None: of a call that had none), and what its tokens weigh, in millionths."""

    reserved_position: int | None
    prompt: int
    cached_prompt: int
    cache_write: int
    completion: int


class KnownAccount(Struct):
    """An account as the events so far make it, with the terms of its holds that are open, by reservation.

    `last_call_at` is when its last call was let through.
    """

    account: Account
    terms: dict[str, Terms]
    last_call_at: datetime | None = None


class Charged(NamedTuple):
    """A hold, or a call by our own count, that was charged: where, and by which terms; what comes later corrects it."""

    position: int
    terms: Terms | None


class Movement(Struct, frozen=True, kw_only=True, gc=False):
    """A row of a statement: what one event moved, why, and how the account stood after it. Tokens are billable ones,
    but for those of the classes, which are the provider's.

    `tokens` is what the account gained; of a call it is negative. `from_allowance`, `from_credits`, `to_debt` and
    `to_unowed` are where they were taken (negative: given back), and sum up to -`tokens`; `lots` tells what each lot
    gained, as a JSON object. Of a correction `lapsed` tokens came back to nobody: of an ended cycle, of an expired lot.

    `billable_tokens` is ceil(sum of the classes' tokens x weight / 10^6) of a call, the hold of an unsettled one.
    A correction moves the difference to `corrects_tokens`, which were charged at `corrects_position`; a hold was made
    at `reserved_position`. `cycle_id` is the cycle that a call belongs to, else the one that runs.
    """

    account_id: str
    position: int
    recorded_at: datetime
    kind: str
    tokens: int
    reservation_id: str | None = None
    model: str | None = None
    cycle_id: str
    prompt_tokens: int | None = None
    cached_prompt_tokens: int | None = None
    cache_write_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    prompt_weight_millionths: int | None = None
    cached_prompt_weight_millionths: int | None = None
    cache_write_weight_millionths: int | None = None
    completion_weight_millionths: int | None = None
    billable_tokens: int | None = None
    cost_usd_micros: int | None = None
    usage_source: str | None = None
    from_allowance: int
    from_credits: int
    to_debt: int
    to_unowed: int
    lapsed: int | None = None
    lots: str | None = None
    reserved_position: int | None = None
    corrects_position: int | None = None
    corrects_tokens: int | None = None
    lot_id: str | None = None
    reference: str | None = None
    plan: str | None = None
    actor: str | None = None
    reason_id: str | None = None
    monthly_used: int
    monthly_limit: int
    credits: int
    debt: int
    unowed: int
