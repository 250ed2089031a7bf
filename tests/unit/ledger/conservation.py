"""What can neither be lost nor made: every bucket of an account is the sum of what its events moved."""

from datetime import datetime

from contracts.events.accounts import AccountOpened, CycleCorrected, CycleStarted, LimitChanged, PlanChanged
from contracts.events.charges import Charge, GiveBack, LotTokens
from contracts.events.credits import CreditsExpired, CreditsGranted, CreditsRestored, CreditsRevoked
from contracts.events.registry import LedgerEvent
from contracts.events.reservations import ReservationExpired, UsageSettled
from ledger.domain.account import Account
from ledger.domain.holds import Hold, HoldState


def check(account: Account, log: list[tuple[datetime, LedgerEvent]], holds: dict[str, Hold]) -> None:
    """Raises AssertionError where a bucket is not what its events moved."""
    used = credits_left = debt = unowed = 0
    running = ""
    for _, event in log:
        match event:
            case AccountOpened():
                running = event.cycle.id
            case CycleStarted():
                running = event.cycle.id
                used = event.debt_repaid
                debt -= event.debt_repaid
            case CycleCorrected():
                running = event.cycle.id
                assert event.previous_monthly_used == used
                used = event.monthly_used
                debt += event.to_debt
            case PlanChanged():
                used += event.debt_repaid - event.to_debt
                debt += event.to_debt - event.debt_repaid
            case LimitChanged():
                used += event.debt_repaid
                debt -= event.debt_repaid
            case CreditsGranted():
                credits_left += event.tokens - event.debt_repaid
                debt -= event.debt_repaid
            case CreditsRevoked():
                assert event.tokens == event.from_lot + event.to_debt
                credits_left -= event.from_lot
                debt += event.to_debt
            case CreditsRestored():
                credits_left += event.tokens - event.debt_repaid
                debt -= event.debt_repaid
            case CreditsExpired():
                credits_left -= event.tokens
            case ReservationExpired():
                assert _total(event.charge) == event.billable_tokens == event.tokens
        charge, back, cycle_id = _moved(event)
        if charge is not None:
            used += charge.from_allowance if cycle_id == running else 0
            credits_left -= _sum(charge.from_credits)
            debt += charge.to_debt
            unowed += charge.to_unowed
        if back is not None:
            repaid = back.debt_repayment
            used += repaid.from_allowance - back.to_allowance
            correction = 0 if back.correction_lot is None else back.correction_lot.tokens
            credits_left += correction + _sum(back.to_credits) - _sum(repaid.from_credits)
            debt -= back.debt_cancelled + _total(repaid)
            unowed -= back.unowed_cancelled
    assert (account.monthly_used, account.credits, account.debt) == (used, credits_left, debt)
    assert account.unowed == unowed >= 0
    assert account.debt >= 0
    assert account.monthly_used >= 0
    assert all(lot.tokens > 0 for lot in account.lots)
    assert len({lot.id for lot in account.lots}) == len(account.lots)
    _check_holds(account, holds)
    _check_windows(account, log, holds)


def _check_windows(account: Account, log: list[tuple[datetime, LedgerEvent]], holds: dict[str, Hold]) -> None:
    """Each window holds what its open holds do, and has used what was charged in it, corrections included."""
    held: dict[str, int] = {}
    for hold in holds.values():
        if hold.state is HoldState.OPEN:
            for ref in hold.windows:
                held[ref.id] = held.get(ref.id, 0) + (hold.tokens or 0)
    seen = {window.id: window for window in account.windows}
    assert {each for each, tokens in held.items() if tokens} <= seen.keys()
    assert all(window.held == held.get(window.id, 0) for window in account.windows)
    used: dict[str, int] = {}
    for _, event in log:
        match event:
            case CycleCorrected():
                return  # a window of the time that was none is counted anew
            case ReservationExpired():
                charged = event.billable_tokens
            case UsageSettled():
                charged = event.billable_tokens - (event.corrects_billable_tokens or 0)
            case _:
                continue
        for ref in event.windows:
            used[ref.id] = used.get(ref.id, 0) + charged
    assert all(window.used == used.get(window.id, 0) for window in account.windows)


def _check_holds(account: Account, holds: dict[str, Hold]) -> None:
    """Sums and counts of open holds, cycle by cycle; closed cycles are kept for open holds alone."""
    by_cycle: dict[str, list[int]] = {}
    for hold in holds.values():
        if hold.state is HoldState.OPEN:
            by_cycle.setdefault(hold.cycle_id, []).append(hold.tokens or 0)
        else:
            assert _total(hold.charge) == hold.billable_tokens
    running = by_cycle.pop(account.running_cycle.id, [])
    assert (account.held, account.open_holds) == (sum(running), len(running))
    assert {closed.id: (closed.held, closed.open_holds) for closed in account.closed_cycles} == {
        cycle_id: (sum(tokens), len(tokens)) for cycle_id, tokens in by_cycle.items()
    }
    assert all(closed.remaining >= 0 for closed in account.closed_cycles)


def _moved(event: LedgerEvent) -> tuple[Charge | None, GiveBack | None, str]:
    match event:
        case ReservationExpired():
            return event.charge, None, event.cycle_id
        case UsageSettled(corrects_billable_tokens=None):
            split = Charge(
                from_allowance=event.from_allowance,
                from_credits=event.from_credits,
                to_debt=event.to_debt,
                to_unowed=event.to_unowed,
            )
            assert _total(split) == event.billable_tokens
            return split, None, event.cycle_id
        case UsageSettled():
            difference = event.billable_tokens - (event.corrects_billable_tokens or 0)
            assert difference == (_total(event.charged) if event.charged else -_returned(event.give_back))
            return event.charged, event.give_back, event.cycle_id
        case _:
            return None, None, ""


def _returned(back: GiveBack | None) -> int:
    assert back is not None
    correction = 0 if back.correction_lot is None else back.correction_lot.tokens
    return (
        back.unowed_cancelled
        + back.debt_cancelled
        + correction
        + _sum(back.to_credits)
        + back.to_allowance
        + back.lapsed
    )


def _total(charge: Charge) -> int:
    return charge.from_allowance + _sum(charge.from_credits) + charge.to_debt + charge.to_unowed


def _sum(parts: tuple[LotTokens, ...]) -> int:
    return sum(part.tokens for part in parts)
