"""Makes a statement's movement of an event: what it moved, why, and how the account stood after it."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from contracts.codec import encode
from contracts.events.accounts import AccountOpened, CycleCorrected, CycleStarted, LimitChanged, PlanChanged
from contracts.events.charges import Charge, LotTokens
from contracts.events.credits import CreditsExpired, CreditsGranted, CreditsRestored, CreditsRevoked
from contracts.events.registry import LedgerEvent
from contracts.events.reservations import ReservationExpired, UsageSettled

from ledger.domain.account import Account
from ledger.store.projected.statement_rows import Charged, Kind, Movement, Terms
from ledger.store.projected.tracks import PageEvent

type OfAccount = (
    AccountOpened
    | PlanChanged
    | LimitChanged
    | CycleStarted
    | CycleCorrected
    | CreditsGranted
    | CreditsRevoked
    | CreditsRestored
    | CreditsExpired
)
KIND_OF: Final[dict[type, Kind]] = {
    AccountOpened: Kind.OPENED,
    PlanChanged: Kind.PLAN,
    LimitChanged: Kind.LIMIT,
    CycleStarted: Kind.CYCLE,
    CycleCorrected: Kind.CYCLE_CORRECTION,
    CreditsGranted: Kind.GRANT,
    CreditsRevoked: Kind.REVOCATION,
    CreditsRestored: Kind.RESTORATION,
    CreditsExpired: Kind.EXPIRY,
}
"""Events that move tokens, or the limit, and are of no call. All others move nothing: a hold only sets aside."""


class _Moved(NamedTuple):
    """Where tokens were taken, or given back."""

    from_allowance: int
    from_credits: int
    to_debt: int
    to_unowed: int
    lots: str | None
    lapsed: int | None = None

    @property
    def tokens(self) -> int:
        return -(self.from_allowance + self.from_credits + self.to_debt + self.to_unowed)


def settled_movement(
    each: PageEvent[LedgerEvent], event: UsageSettled, after: Account, terms: Terms | None, corrected: Charged | None
) -> Movement:
    """Of a call's usage; `terms` are None where an older ledger did not tell those of a call without a hold.

    What it moves is the whole call, or of an estimate that it corrects the difference.
    """
    moved = _moved_by_usage(event, corrected)
    usage = event.usage
    return Movement(
        account_id=each.account_id,
        position=each.position,
        recorded_at=each.fact.time,
        kind=(Kind.CALL if corrected is None else Kind.CORRECTION).value,
        tokens=moved.tokens,
        reservation_id=event.reservation_id,
        model=event.model,
        cycle_id=event.cycle_id,
        prompt_tokens=usage.prompt_tokens,
        cached_prompt_tokens=usage.cached_prompt_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        completion_tokens=usage.completion_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        prompt_weight_millionths=None if terms is None else terms.prompt,
        cached_prompt_weight_millionths=None if terms is None else terms.cached_prompt,
        cache_write_weight_millionths=None if terms is None else terms.cache_write,
        completion_weight_millionths=None if terms is None else terms.completion,
        billable_tokens=event.billable_tokens,
        cost_usd_micros=event.cost_usd_micros,
        usage_source=event.usage_source.value,
        from_allowance=moved.from_allowance,
        from_credits=moved.from_credits,
        to_debt=moved.to_debt,
        to_unowed=moved.to_unowed,
        lapsed=moved.lapsed,
        lots=moved.lots,
        reserved_position=None if terms is None else terms.reserved_position,
        corrects_position=None if corrected is None else corrected.position,
        corrects_tokens=event.corrects_billable_tokens,
        monthly_used=after.monthly_used,
        monthly_limit=after.monthly_limit,
        credits=after.credits,
        debt=after.debt,
        unowed=after.unowed,
    )


def expired_movement(
    each: PageEvent[LedgerEvent], event: ReservationExpired, after: Account, terms: Terms | None
) -> Movement:
    """Of a hold that was charged in full, since no usage came."""
    moved = _moved_by_charge(event.charge)
    return Movement(
        account_id=each.account_id,
        position=each.position,
        recorded_at=each.fact.time,
        kind=Kind.UNSETTLED.value,
        tokens=-event.billable_tokens,
        reservation_id=event.reservation_id,
        model=event.model,
        cycle_id=event.cycle_id,
        prompt_weight_millionths=None if terms is None else terms.prompt,
        cached_prompt_weight_millionths=None if terms is None else terms.cached_prompt,
        cache_write_weight_millionths=None if terms is None else terms.cache_write,
        completion_weight_millionths=None if terms is None else terms.completion,
        billable_tokens=event.billable_tokens,
        from_allowance=moved.from_allowance,
        from_credits=moved.from_credits,
        to_debt=moved.to_debt,
        to_unowed=moved.to_unowed,
        lots=moved.lots,
        reserved_position=None if terms is None else terms.reserved_position,
        monthly_used=after.monthly_used,
        monthly_limit=after.monthly_limit,
        credits=after.credits,
        debt=after.debt,
        unowed=after.unowed,
    )


def account_movement(each: PageEvent[LedgerEvent], event: OfAccount, before: Account, after: Account) -> Movement:
    """Of what is no call: what it moved is the difference that it made.

    A cycle begins with nothing used but what repays debt.
    """
    used_before = 0 if isinstance(event, CycleStarted) else before.monthly_used
    from_allowance = after.monthly_used - used_before
    from_credits = before.credits - after.credits
    to_debt = after.debt - before.debt
    lot_id = getattr(event, "lot_id", None)
    return Movement(
        account_id=each.account_id,
        position=each.position,
        recorded_at=each.fact.time,
        kind=KIND_OF[type(event)].value,
        tokens=-(from_allowance + from_credits + to_debt),
        cycle_id=after.running_cycle.id,
        from_allowance=from_allowance,
        from_credits=from_credits,
        to_debt=to_debt,
        to_unowed=0,
        lots=_lots({lot_id: -from_credits}) if from_credits and lot_id is not None else None,
        lot_id=lot_id,
        reference=getattr(event, "reference", None),
        plan=after.plan if isinstance(event, AccountOpened | PlanChanged) else None,
        actor=getattr(event, "actor", None),
        reason_id=getattr(event, "reason_id", None),
        monthly_used=after.monthly_used,
        monthly_limit=after.monthly_limit,
        credits=after.credits,
        debt=after.debt,
        unowed=after.unowed,
    )


def _moved_by_usage(event: UsageSettled, corrected: Charged | None) -> _Moved:
    if corrected is None:
        return _moved_by_charge(event)
    if event.give_back is None:
        return _moved_by_charge(event.charged or Charge())
    back = event.give_back
    repayment = back.debt_repayment
    gained = [*back.to_credits, *([] if back.correction_lot is None else [back.correction_lot])]
    from_credits, lots = _credits_of(gained, repayment.from_credits)
    repaid = repayment.from_allowance + sum(part.tokens for part in repayment.from_credits)
    return _Moved(
        repayment.from_allowance - back.to_allowance,
        from_credits,
        -back.debt_cancelled - repaid,
        -back.unowed_cancelled,
        lots,
        back.lapsed,
    )


def _moved_by_charge(charge: Charge | UsageSettled) -> _Moved:
    from_credits, lots = _credits_of((), charge.from_credits) if charge.from_credits else (0, None)
    return _Moved(charge.from_allowance, from_credits, charge.to_debt, charge.to_unowed, lots)


def _credits_of(gained: Iterable[LotTokens], lost: Iterable[LotTokens]) -> tuple[int, str | None]:
    """What credits lost in all, and what each lot gained."""
    lots: dict[str, int] = {}
    for part in gained:
        lots[part.lot_id] = lots.get(part.lot_id, 0) + part.tokens
    for part in lost:
        lots[part.lot_id] = lots.get(part.lot_id, 0) - part.tokens
    return -sum(lots.values()), _lots(lots) if lots else None


def _lots(gained: dict[str, int]) -> str:
    return encode(gained).decode()
