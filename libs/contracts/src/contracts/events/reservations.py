"""What the ledger says of a reservation: reserved, then ended exactly once."""

from msgspec import Struct

from contracts.events.charges import Charge, GiveBack, LotTokens
from contracts.events.rates import Rates
from contracts.limits import StoredMoment, Tokens
from contracts.usage import Outcome, TokenUsage, UsageSource


class WindowRef(Struct, frozen=True, kw_only=True):
    """A capped budget window: `id` is `<scope>:<models>:<first day>`, `ends_at` when nothing more can enter it."""

    id: str
    ends_at: StoredMoment


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


class CorrectedEstimate(Struct, frozen=True, kw_only=True):
    """What was settled before by our own count; `content_hash` names that settlement, and rates are in its hold.

    Where there was none, `unreserved_rates` are those that it was charged at, of that version of the catalog.
    """

    content_hash: str
    usage: TokenUsage
    cost_usd_micros: Tokens
    price_known: bool | None = None
    unreserved_rates: Rates | None = None
    catalog_version: str = ""


class UsageSettled(Struct, frozen=True, kw_only=True):
    """Real usage, charged at the rates of the hold.

    `from_allowance`, `from_credits`, `to_debt` and `to_unowed` are the reservation's final split and sum to
    `billable_tokens`. `price_known` False: `cost_usd_micros` is 0 because nobody named a price (None: an older ledger).
    `conversation_id` is of older ledgers alone: what stays for ever names no conversation.
    `hold_tokens` is what the hold frees; None when no hold was open. A settlement that corrects
    an expired hold, or an estimate (`corrects_estimate`), moves only the difference: `give_back` (less was used than
    charged) or `charged` (more was). `corrects_billable_tokens` is what was charged before, and None where nothing was.
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
    corrects_estimate: CorrectedEstimate | None = None

    @property
    def split(self) -> Charge:
        return Charge(
            from_allowance=self.from_allowance,
            from_credits=self.from_credits,
            to_debt=self.to_debt,
            to_unowed=self.to_unowed,
        )
