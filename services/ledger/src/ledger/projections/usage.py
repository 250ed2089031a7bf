"""Usage: what each account used, by quarter hour, model and endpoint; sums of it are sums of the settlements."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
from contracts.events.accounts import AccountOpened
from contracts.events.registry import LedgerEvent
from contracts.events.reservations import CorrectedEstimate, ReservationExpired, UsageSettled
from contracts.usage import UsageSource

from ledger.projections.overview import overview_of
from ledger.projections.projection import BrokenLogError, Projection
from ledger.store.projected.overview_tables import OVERVIEW_SHAPES, write_overview
from ledger.store.projected.tracks import PageEvent, Track
from ledger.store.projected.usage_rows import NOTHING, Estimate, Figures, ReservationKey, UsageChanges, UsageKey
from ledger.store.projected.usage_tables import SHAPES, load_estimates, write_usage

LONGEST_CALL: Final = timedelta(days=400)
"""As long as a hold is known: of a call that began before that, or after it was told of, the clock was wrong."""
QUARTER_MINUTES: Final = 15


def corrected_reservations(events: Iterable[PageEvent[LedgerEvent]]) -> list[ReservationKey]:
    """Whose estimates must be known to count these events."""
    return [
        ReservationKey(each.account_id, each.fact.data.reservation_id)
        for each in events
        if type(each.fact.data) is UsageSettled and _corrects_a_hold(each.fact.data)
    ]


def count_usage(events: Iterable[PageEvent[LedgerEvent]], estimates: Mapping[ReservationKey, Estimate]) -> UsageChanges:
    """What these events change; `estimates` are those that stand, of the `corrected_reservations` at least.

    A call belongs to the quarter hour in which it began. One whose usage comes after its hold was charged takes that
    estimate out of where it stood; whoever began it was active then all the same. One that was counted by us and is
    corrected is told with what it was counted as.

    Raises:
        BrokenLogError: usage corrects what was never charged.
    """
    changes = UsageChanges()
    for each in events:
        event = each.fact.data
        if type(event) is UsageSettled:
            if _corrects_a_hold(event):
                _take_estimate(changes, ReservationKey(each.account_id, event.reservation_id), estimates)
            row = UsageKey(each.account_id, quarter_of(event.started_at, each.fact.time), event.model, event.endpoint)
            changes.add(row, _settled(event))
            changes.active.add(row[:2])
            if event.corrects_estimate is not None:
                changes.add(row, _estimated(event, event.corrects_estimate))
        elif type(event) is ReservationExpired:
            row = UsageKey(each.account_id, quarter_of(event.reserved_at, each.fact.time), event.model, event.endpoint)
            changes.begun[ReservationKey(each.account_id, event.reservation_id)] = Estimate(row, event.billable_tokens)
            changes.add(row, _unsettled(1, event.billable_tokens))
            changes.active.add(row[:2])
        elif type(event) is AccountOpened:
            changes.opened[quarter_of(None, each.fact.time)] += 1
    for row in [row for row, figures in changes.added.items() if figures == NOTHING]:
        del changes.added[row]  # whether an estimate and what corrects it come in one page must make no difference
    return changes


def quarter_of(began_at: datetime | None, told_at: datetime) -> datetime:
    """The quarter hour of a call; of one whose beginning is not known, or can't be, that in which it was decided."""
    began_at = began_at or told_at
    if began_at.tzinfo is not UTC:  # as the gateway's zone has it, or an older ledger wrote it
        aware = began_at if began_at.tzinfo is not None else began_at.replace(tzinfo=UTC)
        began_at = aware.astimezone(UTC) if timedelta() <= told_at - aware <= LONGEST_CALL else told_at
    elif not timedelta() <= told_at - began_at <= LONGEST_CALL:
        began_at = told_at
    return began_at.replace(minute=began_at.minute - began_at.minute % QUARTER_MINUTES, second=0, microsecond=0)


def _corrects_a_hold(event: UsageSettled) -> bool:
    return event.corrects_billable_tokens is not None and event.corrects_estimate is None


def _take_estimate(
    changes: UsageChanges, reservation: ReservationKey, estimates: Mapping[ReservationKey, Estimate]
) -> None:
    estimate = changes.begun.pop(reservation, None)
    if estimate is None:
        estimate = estimates.get(reservation)
        if estimate is None or reservation in changes.ended:
            raise BrokenLogError(f"usage of {reservation.reservation_id} corrects a charge that the log does not have")
        changes.ended.add(reservation)
    changes.add(estimate.row, _unsettled(-1, -estimate.billable_tokens))


def _settled(event: UsageSettled) -> Figures:
    usage = event.usage
    return Figures(
        1,
        usage.prompt_tokens,
        usage.cached_prompt_tokens,
        usage.cache_write_tokens,
        usage.completion_tokens,
        usage.reasoning_tokens,
        event.billable_tokens,
        event.cost_usd_micros,
        0,
        0,
        int(event.usage_source is UsageSource.ESTIMATED),
        int(event.price_known is False),
    )


def _estimated(event: UsageSettled, estimate: CorrectedEstimate) -> Figures:
    """What the same call was counted as before, to be taken away: it began when it began."""
    usage = estimate.usage
    return Figures(
        -1,
        -usage.prompt_tokens,
        -usage.cached_prompt_tokens,
        -usage.cache_write_tokens,
        -usage.completion_tokens,
        -usage.reasoning_tokens,
        -(event.corrects_billable_tokens or 0),
        -estimate.cost_usd_micros,
        0,
        0,
        -1,
        -int(estimate.price_known is False),
    )


def _unsettled(calls: int, billable_tokens: int) -> Figures:
    return Figures(
        calls=calls,
        billable_tokens=billable_tokens,
        unsettled_calls=calls,
        unsettled_billable_tokens=billable_tokens,
    )


class Usage:
    """`projections.usage`, and what follows from it for all accounts together: `.overview` and `.activity`."""

    name: Final = "usage"
    version: Final = 2
    reads: Final = frozenset[type[LedgerEvent]]({UsageSettled, ReservationExpired, AccountOpened})
    shapes: Final = (*SHAPES, *OVERVIEW_SHAPES)

    async def apply(
        self, connection: asyncpg.Connection, track: Track, events: Sequence[PageEvent[LedgerEvent]]
    ) -> None:
        corrected = corrected_reservations(events)
        estimates = await load_estimates(connection, track, corrected) if corrected else {}
        changes = count_usage(events, estimates)
        await write_usage(connection, track, changes)
        await write_overview(connection, track, overview_of(changes))


USAGE: Final[Projection] = Usage()
