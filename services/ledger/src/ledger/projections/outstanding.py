"""Outstanding holds: those that are open, and those that were charged and have no usage yet."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import asyncpg
from contracts.events.registry import LedgerEvent
from contracts.events.reservations import ReservationExpired, ReservationReleased, TokensReserved, UsageSettled

from ledger.projections.projection import Projection
from ledger.store.projected.outstanding_rows import OutstandingChanges, OutstandingHold
from ledger.store.projected.outstanding_tables import OPEN, SHAPES, UNSETTLED, write_outstanding
from ledger.store.projected.tracks import PageEvent, Track
from ledger.store.projected.usage_rows import ReservationKey


def count_outstanding(events: Iterable[PageEvent[LedgerEvent]]) -> OutstandingChanges:
    """What these events change: most holds end in the page in which they were made, and leave no row."""
    changes = OutstandingChanges()
    made, charged, ended = changes.made, changes.charged, changes.ended
    for each in events:
        event = each.fact.data
        # Asked for its very type, which costs half as much: it is done for every event of a call.
        if type(event) is TokensReserved:
            made[ReservationKey(each.account_id, event.reservation_id)] = _open(event, each.fact.time)
        elif type(event) is UsageSettled or type(event) is ReservationReleased:
            reservation = ReservationKey(each.account_id, event.reservation_id)
            if made.pop(reservation, None) is None:
                charged.discard(reservation)
                ended.add(reservation)
        elif type(event) is ReservationExpired:
            reservation = ReservationKey(each.account_id, event.reservation_id)
            if (hold := made.get(reservation)) is not None:
                made[reservation] = hold._replace(state=UNSETTLED)
            else:
                charged.add(reservation)
    return changes


def _open(event: TokensReserved, at: datetime) -> OutstandingHold:
    return OutstandingHold(OPEN, at, event.expires_at, event.model, event.endpoint, event.cycle_id, event.tokens)


class Outstanding:
    """The projection `projections.outstanding`."""

    name: Final = "outstanding"
    version: Final = 1
    reads: Final = frozenset[type[LedgerEvent]]({TokensReserved, ReservationReleased, ReservationExpired, UsageSettled})
    shapes: Final = SHAPES

    async def apply(
        self, connection: asyncpg.Connection, track: Track, events: Sequence[PageEvent[LedgerEvent]]
    ) -> None:
        await write_outstanding(connection, track, count_outstanding(events))


OUTSTANDING: Final[Projection] = Outstanding()
