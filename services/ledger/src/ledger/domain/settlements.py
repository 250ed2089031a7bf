"""How a reservation ends: settled by real usage, released unused, charged when nothing came, corrected once."""

from datetime import datetime

from contracts.errors import ConflictError, InvalidError
from contracts.events.charges import Charge, GiveBack
from contracts.events.reservations import (
    CorrectedEstimate,
    ReservationExpired,
    ReservationReleased,
    UsageSettled,
    WindowRef,
)
from contracts.events.usage import UsageRecorded
from contracts.limits import MAX_INTEGER
from contracts.usage import Outcome
from msgspec import UNSET, Struct
from msgspec.structs import replace

from ledger.domain.charges import add_charges, charge_for, charge_let_through, give_back_for
from ledger.domain.commands import ExpireReservation, SettleUsage
from ledger.domain.decision import Decision, Draft, Ended
from ledger.domain.holds import USAGE_TAKEN, Hold, HoldState
from ledger.domain.policy import Policy
from ledger.domain.rate_limits import give_back_pace
from ledger.domain.rates import billable_tokens, cost_usd_micros
from ledger.domain.windows import windows_of

FREE_OUTCOMES = frozenset({Outcome.NOT_FORWARDED, Outcome.UPSTREAM_ERROR})
"""Ends that cost nothing, whatever figures came with them."""


class Correction(Struct, frozen=True):
    """What late usage of an expired hold moves: tokens that are charged beside it, or tokens that come back."""

    charged: Charge | None = None
    give_back: GiveBack | None = None


def decide_settle(draft: Draft, command: SettleUsage, policy: Policy) -> Decision:
    """Charge what was used and free the rest.

    Raises:
        ConflictError: the reservation ended already by another figure.
        InvalidError: the figures are beyond any real call, the call began so long ago that its hold may be gone, or the
            estimate that they correct is.
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
            if command.content_hash in (hold.usage_hash, hold.corrected_hash):
                return draft.decided(Ended(command.reservation_id, changed=False))
            if not _gives_way(hold, command):
                raise ConflictError(f"reservation {command.reservation_id} has ended by another figure")
            _correct(draft, command, _with_terms(hold, command.corrects_estimate), policy)
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
            hold,
            charge,
            billable,
            tokens_allowed_at=give_back_pace(before.tokens_allowed_at, before.rate_limits.tokens_per_minute, unused),
        )
    )
    draft.emit_usage_alerts(before)
    _exhaust(draft, usage, policy)


def _settle_without_hold(draft: Draft, command: SettleUsage, policy: Policy) -> None:
    before, usage = draft.account, command.usage
    if command.corrects_estimate is not None:
        raise InvalidError(f"the estimate of reservation {command.reservation_id} is not known any more")
    if usage.started_at < draft.clock - USAGE_TAKEN:
        raise InvalidError(
            f"the call began at {usage.started_at.isoformat()}, more than {USAGE_TAKEN.days} days ago: no hold of then "
            "is kept, so it may have been charged already"
        )
    cycle_id = before.running_cycle.id
    if usage.outcome in FREE_OUTCOMES:
        draft.emit(_released(command, None, cycle_id))
        return
    plan = policy.plan_of(before.plan)
    capped = windows_of(plan.caps if plan else (), usage.model, before.running_cycle, draft.now, before.time_zone)
    terms = Hold(
        reservation_id=command.reservation_id,
        state=HoldState.OPEN,
        reserved_at=draft.now,
        cycle_id=cycle_id,
        rates=policy.catalog.model(usage.model).rates,
        catalog_version=policy.catalog.version,
        windows=tuple(ref for _, ref in capped),
    )
    billable = billable_tokens(usage.usage, terms.rates)
    charge = charge_let_through if _is_let_through(usage) else charge_for
    draft.emit(_settled(command, terms, charge(before, billable, cycle_id), billable))
    draft.emit_usage_alerts(before)
    _exhaust(draft, usage, policy)


def _gives_way(hold: Hold, command: SettleUsage) -> bool:
    """Whether it has ended by the estimate that the command corrects: that is put right once, and nothing else is."""
    estimate = command.corrects_estimate
    return (
        estimate is not None
        and hold.state is HoldState.SETTLED
        and hold.usage_hash == estimate.content_hash
        and hold.corrected_hash is UNSET
        and command.usage.outcome not in FREE_OUTCOMES
    )


def _with_terms(hold: Hold, estimate: CorrectedEstimate | None) -> Hold:
    """A record that was made without a hold does not know at what rates it was charged."""
    if hold.tokens is not None or estimate is None or estimate.unreserved_rates is None:
        return hold
    return replace(hold, rates=estimate.unreserved_rates, catalog_version=estimate.catalog_version)


def _correct(draft: Draft, command: SettleUsage, hold: Hold, policy: Policy) -> None:
    """Late usage of an expired hold, or of an estimate: move the difference to what was charged before, once."""
    before, usage = draft.account, command.usage
    free = usage.outcome in FREE_OUTCOMES
    billable = 0 if free else billable_tokens(usage.usage, hold.rates)
    difference = billable - hold.billable_tokens
    if difference > 0:
        charge = charge_let_through if _is_let_through(usage) or hold.observed else charge_for
        charged = charge(before, difference, hold.cycle_id)
        final, correction = add_charges(hold.charge, charged), Correction(charged=charged)
    else:
        give_back, final = give_back_for(before, hold, -difference, draft.now)
        correction = Correction(give_back=give_back)
    draft.emit(_settled(command, hold, final, billable, correction=correction))
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
    hold: Hold,
    split: Charge,
    billable: int,
    *,
    correction: Correction | None = None,
    tokens_allowed_at: datetime | None = None,
) -> UsageSettled:
    """The event, by the terms of the hold; a call that had none brings one without tokens."""
    usage, unreserved = command.usage, hold.tokens is None
    cost = 0 if usage.outcome in FREE_OUTCOMES else cost_usd_micros(usage.usage, hold.rates)
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
        hold_tokens=hold.tokens if correction is None else None,
        cost_usd_micros=cost,
        cycle_id=hold.cycle_id,
        catalog_version=hold.catalog_version,
        content_hash=command.content_hash,
        started_at=usage.started_at,
        duration_ms=usage.duration_ms,
        first_token_ms=usage.first_token_ms,
        estimated_prompt_tokens=usage.estimated_prompt_tokens,
        unreserved=unreserved,
        unreserved_rates=hold.rates if unreserved else None,
        price_known=hold.rates.has_price,
        windows=hold.windows,
        corrects_billable_tokens=None if correction is None else hold.billable_tokens,
        corrects_estimate=None if hold.state is HoldState.EXPIRED or correction is None else command.corrects_estimate,
        charged=None if correction is None else correction.charged,
        give_back=None if correction is None else correction.give_back,
        tokens_allowed_at=tokens_allowed_at,
    )
