"""Rebuilds accounts and holds from the events beside the live rows, compares, and repairs what differs."""

import time

from msgspec import Struct

from ledger.audit.differences import Difference, Projection
from ledger.audit.survey import survey


class Replayed(Struct, frozen=True):
    """`differences` are the first 100 of `difference_count`, `repaired` of which were put right."""

    projection: Projection
    events: int
    accounts: int
    seconds: float
    events_per_second: int
    difference_count: int
    repaired: int
    differences: list[Difference]


async def replay(database_url: str, projection: Projection) -> Replayed:
    """Fold all events, account by account, and put right what differs from them, while traffic goes on."""
    started = time.perf_counter()
    found = await survey(database_url, repairing=projection)
    seconds = time.perf_counter() - started
    return Replayed(
        projection=projection,
        events=found.whole.events,
        accounts=found.accounts,
        seconds=round(seconds, 3),
        events_per_second=int(found.whole.events / seconds),
        difference_count=found.differences.count,
        repaired=found.differences.repaired,
        differences=found.differences.first,
    )
