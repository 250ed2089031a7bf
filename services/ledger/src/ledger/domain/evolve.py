"""How an account changes by one event; the same fold serves the live path and every rebuild."""

from datetime import datetime
from typing import assert_never

from contracts.events.accounts import (
    AccountOpened,
    CycleCorrected,
    CycleStarted,
    LimitChanged,
    PlanChanged,
    RateLimits,
    RateLimitsChanged,
    StatusChanged,
    SubscriptionChanged,
    ThresholdsChanged,
)
from contracts.events.charges import Charge, GiveBack, LotTokens
from contracts.events.credits import CreditsExpired, CreditsGranted, CreditsRestored, CreditsRevoked
from contracts.events.notices import AccessRestored, AllowanceExhausted, ThresholdCrossed, TokensExhausted
from contracts.events.registry import LedgerEvent
from contracts.events.reservations import (
    ReservationExpired,
    ReservationReleased,
    TokensReserved,
    UsageSettled,
    WindowRef,
)
from msgspec.structs import replace

from ledger.domain.account import Account, ClosedCycle, Lot
from ledger.domain.subscriptions import changed
from ledger.domain.windows import moved


def evolve(account: Account, event: LedgerEvent, at: datetime) -> Account:
    """The account after `event`, which was recorded at `at`. Total: every stored event can be folded."""
    version = account.version + 1
    match event:
        case TokensReserved():
            reserved = replace(
                account,
                version=version,
                last_event_at=at,
                held=account.held + event.tokens,
                open_holds=account.open_holds + 1,
                requests_allowed_at=event.requests_allowed_at,
                tokens_allowed_at=event.tokens_allowed_at,
            )
            return _moved(reserved, event.windows, at, held=event.tokens)
        case UsageSettled():
            used = event.billable_tokens - (event.corrects_billable_tokens or 0)
            return _moved(_settled(account, event, at), event.windows, at, used=used, held=-(event.hold_tokens or 0))
        case ReservationReleased():
            freed = _freed(account, event.cycle_id, event.tokens, 0, at=at, paced_at=event.tokens_allowed_at)
            return _moved(freed, event.windows, at, held=-(event.tokens or 0))
        case ReservationExpired():
            charged = _charged(account, event.charge, event.cycle_id, event.tokens, at=at)
            return _moved(charged, event.windows, at, used=event.billable_tokens, held=-event.tokens)
        case ThresholdCrossed():
            crossed = tuple(sorted({*account.crossed, event.percent}))
            return replace(account, version=version, last_event_at=at, crossed=crossed)
        case TokensExhausted():
            return replace(account, version=version, last_event_at=at, exhausted=True)
        case AccessRestored():
            return replace(account, version=version, last_event_at=at, exhausted=False)
        case AllowanceExhausted():
            return replace(account, version=version, last_event_at=at)
        case _:
            return replace(_administered(account, event), version=version, last_event_at=at)


def _moved(account: Account, refs: tuple[WindowRef, ...], at: datetime, *, used: int = 0, held: int = 0) -> Account:
    """What a call changes of capped windows, which few plans have."""
    if not refs and not account.windows:
        return account
    return replace(account, windows=moved(account.windows, refs, at, used=used, held=held))


def _administered(
    account: Account,
    event: AccountOpened
    | PlanChanged
    | LimitChanged
    | ThresholdsChanged
    | RateLimitsChanged
    | StatusChanged
    | SubscriptionChanged
    | CycleStarted
    | CycleCorrected
    | CreditsGranted
    | CreditsRevoked
    | CreditsRestored
    | CreditsExpired,
) -> Account:
    match event:
        case AccountOpened():
            return replace(
                account,
                plan=event.plan,
                status=event.status,
                plan_tokens=event.monthly_limit,
                monthly_limit=event.monthly_limit,
                rate_limits=event.rate_limits,
                thresholds=event.thresholds,
                anchor_day=event.anchor_day,
                time_zone=event.time_zone,
                cycle=event.cycle,
            )
        case PlanChanged():
            limited = _limited(account, event.monthly_limit, event.debt_repaid, event.to_debt)
            plan_tokens = event.monthly_limit if event.plan_tokens is None else event.plan_tokens
            return replace(_paced(limited, event.rate_limits), plan=event.plan, plan_tokens=plan_tokens)
        case LimitChanged():
            return _limited(account, event.monthly_limit, event.debt_repaid)
        case ThresholdsChanged():
            return replace(account, thresholds=event.thresholds)
        case RateLimitsChanged():
            return _paced(account, event.rate_limits)
        case StatusChanged():
            return replace(account, status=event.status)
        case SubscriptionChanged():
            known, forgotten_until = changed(account.subscriptions, account.forgotten_until, event)
            return replace(account, subscriptions=known, forgotten_until=forgotten_until)
        case CycleStarted():
            return _cycle_started(account, event)
        case CycleCorrected():
            return _cycle_corrected(account, event)
        case CreditsGranted():
            kept = event.tokens - event.debt_repaid
            lot = Lot(event.lot_id, kept, event.expires_at, account.version + 1)
            lots = (*account.lots, lot) if kept else account.lots
            return replace(account, lots=lots, debt=account.debt - event.debt_repaid)
        case CreditsRevoked():
            taken = (LotTokens(lot_id=event.lot_id, tokens=event.from_lot),)
            return replace(account, lots=_taken(account.lots, taken), debt=account.debt + event.to_debt)
        case CreditsRestored():
            kept = event.tokens - event.debt_repaid
            part = LotTokens(lot_id=event.lot_id, tokens=kept, expires_at=event.expires_at, ordinal=account.version + 1)
            lots = _returned(account.lots, part) if kept else account.lots
            return replace(account, lots=lots, debt=account.debt - event.debt_repaid)
        case CreditsExpired():
            taken = (LotTokens(lot_id=event.lot_id, tokens=event.tokens),)
            return replace(account, lots=_taken(account.lots, taken))
        case _:
            assert_never(event)


def _limited(account: Account, monthly_limit: int, debt_repaid: int, to_debt: int = 0) -> Account:
    """A raised limit re-arms the thresholds above the new percentage; a lowered one re-arms nothing."""
    used = account.monthly_used + debt_repaid - to_debt
    crossed = account.crossed
    if monthly_limit > account.monthly_limit:
        crossed = tuple(percent for percent in crossed if used * 100 >= monthly_limit * percent)
    return replace(
        account,
        monthly_limit=monthly_limit,
        monthly_used=used,
        debt=account.debt - debt_repaid + to_debt,
        crossed=crossed,
    )


def _paced(account: Account, rate_limits: RateLimits) -> Account:
    """Changed limits start afresh: what was paced by the old ones says nothing of the new."""
    if rate_limits == account.rate_limits:
        return account
    return replace(account, rate_limits=rate_limits, requests_allowed_at=None, tokens_allowed_at=None)


def _cycle_started(account: Account, event: CycleStarted) -> Account:
    closed = account.closed_cycles
    if account.open_holds:
        closed = (
            *closed,
            ClosedCycle(event.closed_cycle_id, event.closed_cycle_remaining, account.held, account.open_holds),
        )
    return replace(
        account,
        cycle=event.cycle,
        anchor_day=event.anchor_day or account.anchor_day,
        monthly_limit=event.monthly_limit,
        monthly_used=event.debt_repaid,
        debt=account.debt - event.debt_repaid,
        held=0,
        open_holds=0,
        closed_cycles=closed,
        crossed=(),
    )


def _cycle_corrected(account: Account, event: CycleCorrected) -> Account:
    """Thresholds that the rightful cycle had reached by itself stay told; what a wrong time has paced says nothing."""
    used_before = event.monthly_used + event.to_debt - event.previous_monthly_used
    limit = account.monthly_limit
    return replace(
        account,
        cycle=event.cycle,
        monthly_used=event.monthly_used,
        debt=account.debt + event.to_debt,
        crossed=tuple(percent for percent in account.thresholds if limit and used_before * 100 >= limit * percent),
        requests_allowed_at=None,
        tokens_allowed_at=None,
    )


def _settled(account: Account, event: UsageSettled, at: datetime) -> Account:
    if event.give_back is not None:
        return _given_back(account, event.give_back, at, event.tokens_allowed_at)
    # Without `charged`, the event is its own charge, and has its fields.
    charge = event if event.charged is None else event.charged
    return _charged(account, charge, event.cycle_id, event.hold_tokens, at=at, paced_at=event.tokens_allowed_at)


def _charged(
    account: Account,
    charge: Charge | UsageSettled,
    cycle_id: str,
    hold_tokens: int | None,
    *,
    at: datetime,
    paced_at: datetime | None = None,
) -> Account:
    freed = _freed(account, cycle_id, hold_tokens, charge.from_allowance, at=at, paced_at=paced_at)
    if not charge.from_credits and not charge.to_debt and not charge.to_unowed:
        return freed
    return replace(
        freed,
        lots=_taken(account.lots, charge.from_credits),
        debt=account.debt + charge.to_debt,
        unowed=account.unowed + charge.to_unowed,
    )


def _freed(
    account: Account,
    cycle_id: str,
    hold_tokens: int | None,
    from_allowance: int,
    *,
    at: datetime,
    paced_at: datetime | None,
) -> Account:
    """Free a hold (None: there was none) and take the allowance's share, in the cycle that admitted the call.

    Version, time and pace are the event's too: most events of a log end here, and each copy of an account counts.
    """
    holds = 0 if hold_tokens is None else 1
    tokens = hold_tokens or 0
    if cycle_id == account.running_cycle.id:
        return replace(
            account,
            version=account.version + 1,
            last_event_at=at,
            tokens_allowed_at=paced_at or account.tokens_allowed_at,
            monthly_used=account.monthly_used + from_allowance,
            held=account.held - tokens,
            open_holds=account.open_holds - holds,
        )
    closed_cycles = tuple(
        replace(
            closed,
            remaining=closed.remaining - from_allowance,
            held=closed.held - tokens,
            open_holds=closed.open_holds - holds,
        )
        if closed.id == cycle_id
        else closed
        for closed in account.closed_cycles
    )
    return replace(
        account,
        version=account.version + 1,
        last_event_at=at,
        tokens_allowed_at=paced_at or account.tokens_allowed_at,
        closed_cycles=tuple(closed for closed in closed_cycles if closed.open_holds),
    )


def _given_back(account: Account, back: GiveBack, at: datetime, paced_at: datetime | None) -> Account:
    lots = account.lots
    for part in back.to_credits:
        lots = _returned(lots, part)
    if back.correction_lot is not None:
        lots = (*lots, Lot(back.correction_lot.lot_id, back.correction_lot.tokens, None, account.version + 1))
    repayment = back.debt_repayment
    repaid = repayment.from_allowance + sum(part.tokens for part in repayment.from_credits)
    return replace(
        account,
        version=account.version + 1,
        last_event_at=at,
        tokens_allowed_at=paced_at or account.tokens_allowed_at,
        monthly_used=account.monthly_used - back.to_allowance + repayment.from_allowance,
        lots=_taken(lots, repayment.from_credits),
        debt=account.debt - back.debt_cancelled - repaid,
        unowed=account.unowed - back.unowed_cancelled,
    )


def _taken(lots: tuple[Lot, ...], parts: tuple[LotTokens, ...]) -> tuple[Lot, ...]:
    """Reduce the lots; an empty one goes."""
    left = list(lots)
    for part in parts:
        for index, lot in enumerate(left):
            if lot.id != part.lot_id:
                continue
            if lot.tokens > part.tokens:
                left[index] = Lot(lot.id, lot.tokens - part.tokens, lot.expires_at, lot.ordinal)
            else:
                del left[index]
            break
    return tuple(left)


def _returned(lots: tuple[Lot, ...], part: LotTokens) -> tuple[Lot, ...]:
    """Give tokens back to a lot; one that was used up returns to its place among the account's grants.

    Where an older ledger did not tell that place, it is the first: lots were taken in the order of their grants then.
    """
    if any(lot.id == part.lot_id for lot in lots):
        return tuple(replace(lot, tokens=lot.tokens + part.tokens) if lot.id == part.lot_id else lot for lot in lots)
    returned = Lot(part.lot_id, part.tokens, part.expires_at, part.ordinal or 0)
    return tuple(sorted((returned, *lots), key=lambda lot: lot.ordinal))
