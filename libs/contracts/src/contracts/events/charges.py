"""Where the tokens of a charge were taken, and where a correction gave them back."""

from msgspec import Struct

from contracts.limits import StoredMoment, Tokens


class LotTokens(Struct, frozen=True, kw_only=True):
    """Tokens taken from, or given back to, one lot of credits.

    `expires_at` is the lot's date, if it has one; `ordinal` its place among the account's grants, by which one that was
    used up comes back where it stood (None: told by an older ledger).
    """

    lot_id: str
    tokens: Tokens
    expires_at: StoredMoment | None = None
    ordinal: int | None = None


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
