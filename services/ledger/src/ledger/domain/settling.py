"""How a reservation ends: settled by real usage, released unused, charged when nothing came, corrected once."""

from datetime import datetime

from contracts.errors import ConflictError, InvalidError
from contracts.events.charges import Charge, GiveBack
from contracts.events.rates import Rates
from contracts.events.reservations import ReservationExpired, ReservationReleased, UsageSettled, WindowRef
from contracts.events.usage import UsageRecorded
from contracts.limits import MAX_INTEGER
from contracts.usage import Outcome

from ledger.domain.charging import add_charges, charge_for, charge_let_through, give_back_for
from ledger.domain.commands import ExpireReservation, SettleUsage
from ledger.domain.decision import Decision, Draft, Ended
from ledger.domain.holds import Hold, HoldState
from ledger.domain.pace import give_back_pace
from ledger.domain.policy import Policy
from ledger.domain.rates import billable_tokens, cost_usd_micros
from ledger.domain.windows import windows_of

FREE_OUTCOMES = frozenset({Outcome.NOT_FORWARDED, Outcome.UPSTREAM_ERROR})
"""Ends that cost nothing, whatever figures came with them."""


def decide_settle(draft: Draft, command: SettleUsage, policy: Policy) -> Decision:
    """Charge what was used and free the rest.

    Raises:
        ConflictError: the reservation ended already by another figure.
        InvalidError: the figures are beyond any real call.
    """
    hold = draft.hold
    ended = Ended(command.reservation_id, changed=True)
    if hold is None:
        _settle_without_hold(draft, command, policy)
        return draft.decided(ended)
    match hold.state:
        case HoldState.OPEN:
            _settle_open(draft, command, hold, policy)
        case HoldState.EXPIRED:
            _correct(draft, command, hold, policy)
        case HoldState.SETTLED | HoldState.RELEASED:
            if hold.usage_hash != command.content_hash:
                raise ConflictError(f"reservation {command.reservation_id} has ended by another figure")
            return draft.decided(Ended(command.reservation_id, changed=False))
    return draft.decided(ended)


def decide_expire(draft: Draft, command: ExpireReservation, policy: Policy) -> Decision:
    """Charge the whole hold: what happened is unknown, and a hold is never forgiven silently."""
    hold = draft.hold
    if hold is None or hold.state is not HoldState.OPEN or hold.expires_at is None or draft.clock < hold.expires_at:
        return draft.decided(Ended(command.reservation_id, changed=False))
    before = draft.account
    tokens = hold.tokens or 0
    if hold.observed:
        charge = charge_let_through(before, tokens, hold.cycle_id, tokens)
    else:
        charge = charge_for(before, tokens, hold.cycle_id)
    draft.emit(
        ReservationExpired(
            reservation_id=hold.reservation_id,
            tokens=tokens,
            billable_tokens=tokens,
            charge=charge,
            cycle_id=hold.cycle_id,
            model=hold.model,
            reserved_at=hold.reserved_at,
            endpoint=hold.endpoint,
            windows=hold.windows,
        )
    )
    draft.emit_usage_alerts(before)
    if not hold.observed:
        draft.exhaust_below(policy.smallest_call_tokens)
    return draft.decided(Ended(command.reservation_id, changed=True))


def _settle_open(draft: Draft, command: SettleUsage, hold: Hold, policy: Policy) -> None:
    before, usage = draft.account, command.usage
    if usage.outcome in FREE_OUTCOMES:
        allowed_at = give_back_pace(before.tokens_allowed_at, before.rate_limits.tokens_per_minute, hold.tokens or 0)
        draft.emit(_released(command, hold.tokens, hold.cycle_id, allowed_at, hold.windows))
        return
    billable = billable_tokens(usage.usage, hold.rates)
    if _is_let_through(usage):
        charge = charge_let_through(before, billable, hold.cycle_id, hold.tokens or 0)
    else:
        charge = charge_for(before, billable, hold.cycle_id)
    unused = (hold.tokens or 0) - billable
    draft.emit(
        _settled(
            command,
            charge,
            billable,
            hold_tokens=hold.tokens,
            cycle_id=hold.cycle_id,
            catalog_version=hold.catalog_version,
            rates=hold.rates,
            windows=hold.windows,
            tokens_allowed_at=give_back_pace(before.tokens_allowed_at, before.rate_limits.tokens_per_minute, unused),
        )
    )
    draft.emit_usage_alerts(before)
    _exhaust(draft, usage, policy)


def _settle_without_hold(draft: Draft, command: SettleUsage, policy: Policy) -> None:
    before, usage = draft.account, command.usage
    cycle_id = before.running_cycle.id
    if usage.outcome in FREE_OUTCOMES:
        draft.emit(_released(command, None, cycle_id))
        return
    rates = policy.catalog.model(usage.model).rates
    billable = billable_tokens(usage.usage, rates)
    plan = policy.plan_of(before.plan)
    capped = windows_of(plan.caps if plan else (), usage.model, before.running_cycle, draft.now, before.time_zone)
    charge = charge_let_through if _is_let_through(usage) else charge_for
    draft.emit(
        _settled(
            command,
            charge(before, billable, cycle_id),
            billable,
            hold_tokens=None,
            cycle_id=cycle_id,
            catalog_version=policy.catalog.version,
            rates=rates,
            unreserved=True,
            windows=tuple(ref for _, ref in capped),
        )
    )
    draft.emit_usage_alerts(before)
    _exhaust(draft, usage, policy)


def _correct(draft: Draft, command: SettleUsage, hold: Hold, policy: Policy) -> None:
    """Late usage of an expired hold: move the difference between what was charged and what was used, once."""
    before, usage = draft.account, command.usage
    free = usage.outcome in FREE_OUTCOMES
    billable = 0 if free else billable_tokens(usage.usage, hold.rates)
    difference = billable - hold.billable_tokens
    give_back, charged = None, None
    if difference > 0:
        charge = charge_let_through if _is_let_through(usage) else charge_for
        charged = charge(before, difference, hold.cycle_id)
        final = add_charges(hold.charge, charged)
    else:
        give_back, final = give_back_for(before, hold, -difference, draft.now)
    draft.emit(
        _settled(
            command,
            final,
            billable,
            hold_tokens=None,
            cycle_id=hold.cycle_id,
            catalog_version=hold.catalog_version,
            rates=hold.rates,
            windows=hold.windows,
            corrects_billable_tokens=hold.billable_tokens,
            charged=charged,
            give_back=give_back,
        )
    )
    draft.emit_usage_alerts(before)
    _exhaust(draft, usage, policy)
    draft.restore_if_raised(before, policy.smallest_call_tokens)


def _is_let_through(usage: UsageRecorded) -> bool:
    """Whether a mode let the call use what it liked."""
    return usage.forwarded_without_hold or usage.observed


def _exhaust(draft: Draft, usage: UsageRecorded, policy: Policy) -> None:
    """People are told to be out where calls are refused; what a mode let through says nothing of that."""
    if not _is_let_through(usage):
        draft.exhaust_below(policy.smallest_call_tokens)


def _released(
    command: SettleUsage,
    tokens: int | None,
    cycle_id: str,
    tokens_allowed_at: datetime | None = None,
    windows: tuple[WindowRef, ...] = (),
) -> ReservationReleased:
    usage = command.usage
    return ReservationReleased(
        reservation_id=usage.reservation_id,
        tokens=tokens,
        cycle_id=cycle_id,
        outcome=usage.outcome,
        status=usage.status,
        model=usage.model,
        endpoint=usage.endpoint,
        content_hash=command.content_hash,
        started_at=usage.started_at,
        duration_ms=usage.duration_ms,
        estimated_prompt_tokens=usage.estimated_prompt_tokens,
        tokens_allowed_at=tokens_allowed_at,
        windows=windows,
    )


def _settled(
    command: SettleUsage,
    split: Charge,
    billable: int,
    *,
    hold_tokens: int | None,
    cycle_id: str,
    catalog_version: str,
    rates: Rates,
    windows: tuple[WindowRef, ...],
    unreserved: bool = False,
    corrects_billable_tokens: int | None = None,
    charged: Charge | None = None,
    give_back: GiveBack | None = None,
    tokens_allowed_at: datetime | None = None,
) -> UsageSettled:
    usage = command.usage
    cost = 0 if usage.outcome in FREE_OUTCOMES else cost_usd_micros(usage.usage, rates)
    if max(billable, cost) > MAX_INTEGER:
        raise InvalidError(f"usage of reservation {usage.reservation_id} is beyond any real call")
    return UsageSettled(
        reservation_id=usage.reservation_id,
        model=usage.model,
        endpoint=usage.endpoint,
        usage=usage.usage,
        usage_source=usage.usage_source,
        outcome=usage.outcome,
        status=usage.status,
        billable_tokens=billable,
        from_allowance=split.from_allowance,
        from_credits=split.from_credits,
        to_debt=split.to_debt,
        to_unowed=split.to_unowed,
        hold_tokens=hold_tokens,
        cost_usd_micros=cost,
        cycle_id=cycle_id,
        catalog_version=catalog_version,
        content_hash=command.content_hash,
        started_at=usage.started_at,
        duration_ms=usage.duration_ms,
        first_token_ms=usage.first_token_ms,
        estimated_prompt_tokens=usage.estimated_prompt_tokens,
        unreserved=unreserved,
        unreserved_rates=rates if unreserved else None,
        price_known=rates.has_price,
        windows=windows,
        corrects_billable_tokens=corrects_billable_tokens,
        charged=charged,
        give_back=give_back,
        tokens_allowed_at=tokens_allowed_at,
    )
