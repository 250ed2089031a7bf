"""Compares a call as the log has it with what LiteLLM says of it, and joins both sides by call id; without I/O."""

from collections.abc import AsyncGenerator
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from contracts.usage import UsageSource
from msgspec import Struct

from ledger.store.reconciliation.rows import CallState, Finding, Kind, LedgerCall, Sums, Tokens, UpstreamCall

ROUNDED_MICROS = 1
"""By so much each side's cost of one call may be rounded."""


class Reason(StrEnum):
    """Why two sides of a call do not agree."""

    NO_RESERVATION = "no_reservation"  # made past the gateway: nobody was asked
    OPEN = "open"  # its hold is open: its usage may still come
    UNSETTLED = "unsettled"  # its hold was charged, since its usage was lost
    UNKNOWN_THERE = "unknown_there"  # settled, and LiteLLM has told nothing of it
    DOUBLED = "doubled"  # settled more than once, or for another account too
    NOT_CHARGED = "not_charged"  # nothing was charged for what LiteLLM says was used
    FAILED_THERE = "failed_there"  # charged, though LiteLLM says that it failed and used nothing
    ACCOUNT = "account"  # charged to another account than LiteLLM names
    ESTIMATE = "estimate"  # charged by our own count
    TOKENS = "tokens"  # both told figures, and they differ
    SUMS = "sums"  # of a day and a model, where single calls are not known


class Compared(Struct, frozen=True):
    """A call of both sides, or of one; `finding` None where they agree."""

    day: date
    model: str
    account_id: str
    sums: Sums
    finding: Finding | None


class Pair(NamedTuple):
    """One side may be missing; `is_again`: theirs went to another reservation of that id."""

    ours: LedgerCall | None
    theirs: UpstreamCall | None
    is_again: bool = False


async def joined(ours: AsyncGenerator[LedgerCall], theirs: AsyncGenerator[UpstreamCall]) -> AsyncGenerator[Pair]:
    """All calls of both sides, which come sorted by id; in memory are those of one id.

    Where an id has reservations of several accounts, theirs goes to the account that it names, else to the first.
    """
    mine, other = await anext(ours, None), await anext(theirs, None)
    while mine is not None or other is not None:
        if other is None or (mine is not None and mine.call_id < other.call_id):
            yield Pair(mine, None)
            mine = await anext(ours, None)
        elif mine is None or other.call_id < mine.call_id:
            yield Pair(None, other)
            other = await anext(theirs, None)
        else:
            same = [mine]
            while (mine := await anext(ours, None)) is not None and mine.call_id == other.call_id:
                same.append(mine)
            chosen = next((each for each in same if each.account_id == other.account_id), same[0])
            yield Pair(chosen, other)
            for each in same:
                if each is not chosen:
                    yield Pair(each, None, is_again=True)
            other = await anext(theirs, None)


def compare(pair: Pair) -> Compared | None:
    """What is to be said of a call; None where there is nothing to say: it is under way, or never was one."""
    ours, theirs, is_again = pair
    if ours is not None and theirs is not None:
        return _both(ours, theirs)
    if theirs is not None:
        return _compared(None, theirs, Kind.MISSING_HERE, Reason.NO_RESERVATION, theirs.tokens.total)
    assert ours is not None, "a pair has a side"
    if ours.state is CallState.EXPIRED:
        return _compared(ours, None, Kind.MISSING_THERE, Reason.UNSETTLED, 0)
    if ours.state is not CallState.SETTLED or not ours.tokens.total:
        return None
    reason = Reason.DOUBLED if is_again else Reason.UNKNOWN_THERE
    return _compared(ours, None, Kind.MISSING_THERE, reason, ours.tokens.total)


def differing_tokens(ours: Tokens, theirs: Tokens) -> int:
    """By how many tokens they differ; those of a class that is not told differ in nothing."""
    parts = (
        (ours.cached_prompt, theirs.cached_prompt),
        (ours.cache_write, theirs.cache_write),
        (ours.reasoning, theirs.reasoning),
    )
    whole = abs(ours.prompt - theirs.prompt) + abs(ours.completion - theirs.completion)
    return max(whole, *(abs(a - b) for a, b in parts if a is not None and b is not None), 0)


def _both(ours: LedgerCall, theirs: UpstreamCall) -> Compared:
    used = theirs.tokens.total
    is_anothers = theirs.account_id not in ("", ours.account_id)
    match ours.state:
        case CallState.OPEN:
            return _compared(ours, theirs, Kind.MISSING_HERE, Reason.OPEN, used)
        case CallState.EXPIRED if is_anothers:  # those figures are no answer to whose call this was
            return _compared(ours, theirs, Kind.MISSING_HERE, Reason.ACCOUNT, used)
        case CallState.EXPIRED:
            known = used > 0 or theirs.failed
            return _compared(ours, theirs, Kind.MISSING_HERE, Reason.UNSETTLED, used, correctable=known)
        case CallState.RELEASED:
            if not used:
                return _compared(ours, theirs, Kind.MATCHED, None, 0)
            return _compared(ours, theirs, Kind.DIFFERENT, Reason.NOT_CHARGED, used)
    differing = differing_tokens(ours.tokens, theirs.tokens)
    if is_anothers:
        return _compared(ours, theirs, Kind.DIFFERENT, Reason.ACCOUNT, max(used, ours.tokens.total))
    if ours.settlements > 1:
        again = (ours.settlements - 1) * ours.tokens.total
        return _compared(ours, theirs, Kind.DIFFERENT, Reason.DOUBLED, differing + again)
    if not differing:
        return _compared(ours, theirs, Kind.MATCHED, None, 0)
    if not used:  # a call without figures tells nothing against those that we have
        return _compared(ours, theirs, Kind.DIFFERENT, Reason.FAILED_THERE, differing)
    estimated = ours.usage_source == UsageSource.ESTIMATED
    reason = Reason.ESTIMATE if estimated else Reason.TOKENS
    return _compared(ours, theirs, Kind.DIFFERENT, reason, differing, correctable=estimated)


def _compared(
    ours: LedgerCall | None,
    theirs: UpstreamCall | None,
    kind: Kind,
    reason: Reason | None,
    differing: int,
    *,
    correctable: bool = False,
) -> Compared:
    side = ours or theirs
    assert side is not None, "a pair has a side"
    day, settled = side.started_at.date(), ours is not None and ours.state is CallState.SETTLED
    our_cost, their_cost = _comparable_costs(ours, theirs)
    sums = Sums(
        calls=1,
        our_tokens=ours.tokens.total if ours is not None and settled else 0,
        their_tokens=0 if theirs is None else theirs.tokens.total,
        differing_tokens=differing,
        our_cost_usd_micros=our_cost,
        their_cost_usd_micros=their_cost,
        differing_cost_usd_micros=max(0, abs(our_cost - their_cost) - ROUNDED_MICROS),
        **{kind.value: 1},
    )
    finding = None
    if reason is not None:
        finding = Finding(
            kind=kind,
            reason=reason.value,
            call_id=side.call_id,
            account_id=side.account_id,
            model=side.model,
            day=day,
            ours=ours.tokens if ours is not None and settled else None,
            theirs=None if theirs is None else theirs.tokens,
            our_cost_usd_micros=ours.cost_usd_micros if ours is not None and settled else None,
            their_cost_usd_micros=None if theirs is None else theirs.cost_usd_micros,
            correctable=correctable,
        )
    return Compared(day, side.model, side.account_id, sums, finding)


def _comparable_costs(ours: LedgerCall | None, theirs: UpstreamCall | None) -> tuple[int, int]:
    """Of a call that both sides have a price for; out of LiteLLM's cache it cost nothing, whatever is charged."""
    if ours is None or theirs is None or theirs.cached or not (ours.cost_usd_micros and theirs.cost_usd_micros):
        return 0, 0
    return ours.cost_usd_micros, theirs.cost_usd_micros
