"""Where a charge is taken, and where a correction gives it back."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from contracts.events.charges import Charge, GiveBack, LotTokens
from msgspec.structs import replace

from ledger.domain.account import Account, Lot
from ledger.domain.holds import Hold

CORRECTION_PREFIX: Final = "correction:"
"""Of lots in which repaid debt comes back; a reservation has at most one."""


def charge_for(account: Account, tokens: int, cycle_id: str) -> Charge:
    """Split a charge: the allowance of the cycle that admitted the call, the lots, then debt.

    A call of an ended cycle takes that cycle's kept remainder and never the new allowance.
    """
    from_allowance = min(tokens, _allowance_left(account, cycle_id))
    from_credits = take_from_lots(_lots_left(account), tokens - from_allowance)
    beyond = tokens - from_allowance - _sum(from_credits)
    return Charge(from_allowance=from_allowance, from_credits=from_credits, to_debt=beyond)


def charge_let_through(account: Account, tokens: int, cycle_id: str, held_tokens: int = 0) -> Charge:
    """Split a charge of what a mode has let through: what the balance does not cover is unowed.

    The balance is what other calls do not hold, else those that were granted would end in debt for it; `held_tokens`
    is the call's own hold, if it got one after all.
    """
    covered = charge_for(account, min(tokens, max(0, held_tokens + account.available)), cycle_id)
    taken = covered.from_allowance + _sum(covered.from_credits)
    return replace(covered, to_debt=0, to_unowed=tokens - taken)


def give_back_for(account: Account, hold: Hold, tokens: int, now: datetime) -> tuple[GiveBack, Charge]:
    """Undo `tokens` of a hold's charge in reverse: what was unowed, debt, lots last taken first, allowance.

    Returns what moves now and the hold's final split. Debt that was repaid meanwhile returns as a lot, the shares of an
    ended cycle's allowance and of lots past their date lapse, and other open debt is repaid at once from what came
    back.
    """
    charge = hold.charge
    from_unowed = min(tokens, charge.to_unowed)
    tokens -= from_unowed
    from_debt = min(tokens, charge.to_debt)
    debt_cancelled = min(from_debt, account.debt)
    repaid_meanwhile = from_debt - debt_cancelled
    from_credits = take_from_lots(reversed(charge.from_credits), tokens - from_debt)
    to_credits = tuple(part for part in from_credits if part.expires_at is None or part.expires_at > now)
    from_allowance = tokens - from_debt - _sum(from_credits)
    running = hold.cycle_id == account.running_cycle.id
    to_allowance = from_allowance if running else 0
    # Of a limit lowered below what was used, only what lies under the limit again is there to repay debt with.
    usable_allowance = min(to_allowance, max(0, account.monthly_limit - account.monthly_used + to_allowance))
    repayment = _repay(account.debt - debt_cancelled, usable_allowance, to_credits)
    give_back = GiveBack(
        debt_cancelled=debt_cancelled,
        correction_lot=LotTokens(lot_id=f"{CORRECTION_PREFIX}{hold.reservation_id}", tokens=repaid_meanwhile)
        if repaid_meanwhile
        else None,
        to_credits=to_credits,
        to_allowance=to_allowance,
        lapsed=from_allowance - to_allowance + _sum(from_credits) - _sum(to_credits),
        debt_repayment=repayment,
        unowed_cancelled=from_unowed,
    )
    final = Charge(
        from_allowance=charge.from_allowance - from_allowance,
        from_credits=_subtract(charge.from_credits, from_credits),
        to_debt=charge.to_debt - from_debt,
        to_unowed=charge.to_unowed - from_unowed,
    )
    return give_back, final


def add_charges(first: Charge, second: Charge) -> Charge:
    """Both charges as one split, lots in the order in which they were first taken."""
    by_lot: dict[str, LotTokens] = {}
    for part in (*first.from_credits, *second.from_credits):
        known = by_lot.get(part.lot_id)
        by_lot[part.lot_id] = part if known is None else replace(known, tokens=known.tokens + part.tokens)
    return Charge(
        from_allowance=first.from_allowance + second.from_allowance,
        from_credits=tuple(by_lot.values()),
        to_debt=first.to_debt + second.to_debt,
        to_unowed=first.to_unowed + second.to_unowed,
    )


def take_from_lots(lots: Iterable[LotTokens], tokens: int) -> tuple[LotTokens, ...]:
    """Take up to `tokens` from what is left of the lots, in the order given."""
    if tokens <= 0:
        return ()
    parts: list[LotTokens] = []
    for left in lots:
        taken = min(left.tokens, tokens)
        if taken > 0:
            parts.append(replace(left, tokens=taken))
            tokens -= taken
        if tokens == 0:
            break
    return tuple(parts)


def _allowance_left(account: Account, cycle_id: str) -> int:
    if cycle_id == account.running_cycle.id:
        return account.monthly_remaining
    closed = account.closed_cycle(cycle_id)
    return closed.remaining if closed else 0


def _lots_left(account: Account) -> Iterator[LotTokens]:
    """The soonest to expire first, then as they were granted: a promotion must not lapse behind what was paid."""
    lots = sorted(account.lots, key=_expiry) if any(lot.expires_at for lot in account.lots) else account.lots
    return (LotTokens(lot_id=lot.id, tokens=lot.tokens, expires_at=lot.expires_at, ordinal=lot.ordinal) for lot in lots)


def _expiry(lot: Lot) -> tuple[bool, datetime | None]:
    return lot.expires_at is None, lot.expires_at


def _repay(debt: int, to_allowance: int, to_credits: tuple[LotTokens, ...]) -> Charge:
    from_allowance = min(debt, to_allowance)
    from_credits = take_from_lots(to_credits, debt - from_allowance)
    return Charge(from_allowance=from_allowance, from_credits=from_credits)


def _subtract(parts: tuple[LotTokens, ...], returned: tuple[LotTokens, ...]) -> tuple[LotTokens, ...]:
    back = {part.lot_id: part.tokens for part in returned}
    left = (replace(part, tokens=part.tokens - back.get(part.lot_id, 0)) for part in parts)
    return tuple(part for part in left if part.tokens)


def _sum(parts: tuple[LotTokens, ...]) -> int:
    return sum(part.tokens for part in parts)
