"""The hold rule: what a call may cost at worst, and how much output is granted."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil

from contracts.errors import RefusalCode
from contracts.events.reservations import TokensReserved
from contracts.limits import MAX_INTEGER
from contracts.reservations import Granted, RefusalFigures, Refused, RefusingCap
from msgspec import Struct

from ledger.domain.account import Account
from ledger.domain.catalog import Model
from ledger.domain.commands import ReserveTokens
from ledger.domain.decision import Decision, Draft
from ledger.domain.holds import Hold, HoldState
from ledger.domain.policy import Policy
from ledger.domain.rate_limits import Pace, pace
from ledger.domain.rates import MILLION, highest_prompt_weight
from ledger.domain.windows import EVERY_MODEL, Cap, Room, room_in, windows_of

STATUS_REFUSALS = {
    "suspended": RefusalCode.ACCOUNT_SUSPENDED,
    "blocked": RefusalCode.ACCOUNT_BLOCKED,
    "pending": RefusalCode.ACCOUNT_PENDING,
}


class Offer(Struct, frozen=True):
    """What a call would hold and be granted; `tokens` None when even the least can't be held."""

    needed: int
    tokens: int | None = None
    output_tokens: int = 0
    write_maximum: bool = False


def decide_reserve(draft: Draft, command: ReserveTokens, policy: Policy) -> Decision:
    """Make a hold, or refuse without one. A repetition gets the stored answer as long as its hold is open."""
    if draft.hold is not None:
        return draft.decided(_stored_answer(draft.hold, command, draft.clock))
    # Whoever was told to be out by an earlier rule, or under a larger minimum, hears that it is no longer so.
    if draft.account.exhausted:
        draft.restore_from(policy.smallest_call_tokens)
    account = draft.account
    if code := _standing_refusal(account, command, policy):
        return draft.decided(Refused(reservation_id=command.reservation_id, code=code))
    if account.all_open_holds >= policy.max_open_holds:
        return draft.decided(_rate_limited(command, timedelta(seconds=1)))
    model = policy.catalog.model(command.model)
    plan = policy.plan_of(account.plan)
    capped = windows_of(plan.caps if plan else (), command.model, account.running_cycle, draft.now, account.time_zone)
    rooms = (account.room, *(room_in(account.windows, cap, ref) for cap, ref in capped))
    offer = offer_for(min(room.left for room in rooms), command, model, policy)
    if offer.tokens is None:
        # Only what the smallest call would need tells whether people are out; this one may just be too large.
        if not command.observed:
            draft.exhaust_below(policy.smallest_call_tokens)
        return draft.decided(_insufficient(draft.account, command, offer.needed, rooms))
    requests = pace(account.requests_allowed_at, account.rate_limits.requests_per_minute, 1, draft.now)
    tokens = pace(account.tokens_allowed_at, account.rate_limits.tokens_per_minute, offer.tokens, draft.now)
    if wait := _longest_wait(requests, tokens):
        return draft.decided(_rate_limited(command, wait))
    reserved = TokensReserved(
        reservation_id=command.reservation_id,
        tokens=offer.tokens,
        prompt_tokens=command.prompt_tokens,
        output_tokens=offer.output_tokens,
        choices=command.choices,
        write_maximum=offer.write_maximum,
        available_after=account.available - offer.tokens,
        model=command.model,
        endpoint=command.endpoint,
        cycle_id=account.running_cycle.id,
        expires_at=draft.clock + policy.hold_ttl,
        rates=model.rates,
        catalog_version=policy.catalog.version,
        content_hash=command.content_hash,
        requests_allowed_at=requests.allowed_at,
        tokens_allowed_at=tokens.allowed_at,
        windows=tuple(ref for _, ref in capped),
        observed=command.observed,
    )
    draft.emit(reserved)
    return draft.decided(_granted(reserved, draft.clock))


def offer_for(available: int, command: ReserveTokens, model: Model, policy: Policy) -> Offer:
    """The hold = billable tokens of prompt estimate + granted output, rounded up once.

    The wanted output (the client's maximum, else the model's, else a fixed bound that is written) is granted if the
    balance covers it. If not, min(wanted, default output, half of what is left after the prompt but at least the
    minimum) is granted and written, so that the last tokens serve more than one call; a wanted output below the
    minimum lowers the minimum. If not even that fits, there is no hold.
    """
    prompt = command.prompt_tokens * highest_prompt_weight(model.rates)
    output_weight = command.choices * model.rates.completion_weight_millionths

    def held(output_tokens: int) -> int:
        return -(-(prompt + output_tokens * output_weight) // MILLION)

    if command.output_free:
        needed = held(0)
        return Offer(needed, needed) if needed <= available else Offer(needed)
    known = command.maximum_output_tokens
    if known is None:
        known = _models_maximum(command, model)
    wanted = policy.unbounded_output_tokens if known is None else known
    if held(wanted) <= available:
        return Offer(held(wanted), held(wanted), wanted, write_maximum=known is None)
    least = min(wanted, policy.minimum_output_tokens)
    if output_weight == 0 or held(least) > available:
        return Offer(held(least))
    affordable = (available * MILLION - prompt) // output_weight
    granted = min(wanted, policy.default_output_tokens, max(affordable // 2, least))
    return Offer(held(least), held(granted), granted, write_maximum=True)


def _models_maximum(command: ReserveTokens, model: Model) -> int | None:
    """The most that the model writes where nothing stops it, thinking included; None where nobody knows.

    Nothing is written into the call, so the larger counts of what catalog and gateway know. A model said to write
    nothing is nonsense, not a call without output.
    """
    by_catalog = model.max_output_tokens + command.thinking_tokens if model.max_output_tokens else 0
    return max(by_catalog, command.model_output_tokens or 0) or None


def _stored_answer(hold: Hold, command: ReserveTokens, clock: datetime) -> Granted | Refused:
    reservation_id = command.reservation_id
    if hold.reserve_hash and hold.reserve_hash != command.content_hash:
        return Refused(reservation_id=reservation_id, code=RefusalCode.CONFLICT)
    if hold.state is not HoldState.OPEN:
        return Refused(reservation_id=reservation_id, code=RefusalCode.RESERVATION_CLOSED)
    return Granted(
        reservation_id=reservation_id,
        held_tokens=hold.tokens or 0,
        output_tokens=hold.output_tokens,
        write_maximum=hold.write_maximum,
        available=hold.available_after,
        expires_in_seconds=_seconds_left(hold.expires_at, clock),
    )


def _standing_refusal(account: Account, command: ReserveTokens, policy: Policy) -> RefusalCode | None:
    if refusal := STATUS_REFUSALS.get(account.status):
        return refusal
    plan = policy.plan_of(account.plan)
    if plan is None or not plan.allows(command.model):
        return RefusalCode.MODEL_NOT_ALLOWED
    return None


def _longest_wait(*paces: Pace) -> timedelta | None:
    return max((each.retry_after for each in paces if each.retry_after is not None), default=None)


def _rate_limited(command: ReserveTokens, wait: timedelta) -> Refused:
    return Refused(
        reservation_id=command.reservation_id,
        code=RefusalCode.RATE_LIMITED,
        retry_after_seconds=max(1, -(-wait // timedelta(seconds=1))),
    )


def _refusing(rooms: Sequence[Room], needed: int) -> Room:
    """The room that a call is refused by, of those that leave too little: what people are told must help them.

    The end of other calls helps nobody whom another room refuses even then, credits nobody whom a cap refuses, and one
    cap's renewal nobody whom a later one refuses.
    """
    return max(
        (room for room in rooms if room.left < needed),
        key=lambda room: (room.left_without_holds < needed, room.cap is not None, room.renewed_at),
    )


def _insufficient(account: Account, command: ReserveTokens, needed: int, rooms: Sequence[Room]) -> Refused:
    room = _refusing(rooms, needed)
    return Refused(
        reservation_id=command.reservation_id,
        code=RefusalCode.INSUFFICIENT_TOKENS,
        figures=RefusalFigures(
            available=room.left,
            needed=min(needed, MAX_INTEGER),
            held=room.held,
            cap=None if room.cap is None else _refusing_cap(room.cap),
            monthly_limit=account.monthly_limit,
            monthly_used=account.monthly_used,
            credits=account.credits,
            resets_at=room.renewed_at,
            exhausted=account.exhausted,
        ),
    )


def _refusing_cap(cap: Cap) -> RefusingCap:
    return RefusingCap(scope=cap.scope, every_model=cap.models == EVERY_MODEL)


def _seconds_left(expires_at: datetime | None, clock: datetime) -> int | None:
    """Rounded up: a repetition at once gets the very same answer, and whoever is bound by it ends well before."""
    return None if expires_at is None else max(0, ceil((expires_at - clock).total_seconds()))


def _granted(reserved: TokensReserved, clock: datetime) -> Granted:
    return Granted(
        reservation_id=reserved.reservation_id,
        held_tokens=reserved.tokens,
        output_tokens=reserved.output_tokens,
        write_maximum=reserved.write_maximum,
        available=reserved.available_after,
        expires_in_seconds=_seconds_left(reserved.expires_at, clock),
    )
