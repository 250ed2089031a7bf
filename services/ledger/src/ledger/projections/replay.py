"""Builds a projection anew beside the one that is read, compares row by row, swaps: while traffic goes on."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

import asyncpg
from contracts.errors import UnavailableError
from msgspec import Struct

from ledger.projections.advancing import Followed, advance
from ledger.projections.projection import Projection
from ledger.projections.reading_ahead import ReadingAhead
from ledger.projections.swapping import BUSY, begin, drop_retired, retire_left_behind, swap_in
from ledger.store.log import newest_position
from ledger.store.projected.tables import RowDifference, compare_tables, take_time
from ledger.store.projected.tracks import (
    PAGE_EVENTS,
    MovedError,
    TrackState,
    connect_for_projecting,
    load_track,
)

MAX_DIFFERENCES: Final = 100
SWAP_SECONDS: Final = 60.0
"""How long readers may be in the way of a swap."""
RETRY_SECONDS: Final = 0.2
type Progress = Callable[[int, int], None]
"""Told the position that is reached and the one to reach."""


class ReplayedProjection(Struct, frozen=True):
    """`differences` are the first 100 of `difference_count` rows, as the projection had them and as the events make
    them; from now on the latter are read. `rows` were compared, all as of `position`."""

    projection: str
    version: int
    position: int
    events: int
    rows: int
    seconds: float
    events_per_second: int
    difference_count: int
    differences: list[RowDifference]


async def replay_projection(database_url: str, projection: Projection, progress: Progress) -> ReplayedProjection:
    """Fold the whole log into tables of its own, compare them with those that are read, and put them in their place.

    Where none of this version are read yet, there is nothing to compare: `rows` is 0.

    Raises:
        BrokenLogError: the events can't be those of a ledger; what is read stays.
        UnavailableError: another replay of it runs, or took over, or readers are in the way of the swap.
    """
    connection = await connect_for_projecting(database_url, "ledger-replay")
    reading = ReadingAhead(database_url, "ledger-replay-reading")
    try:
        return await _replay(connection, reading, projection, progress)
    except MovedError as error:
        raise UnavailableError(f"somebody else took the replay of {projection.name} over: run it again") from error
    finally:
        reading.close()
        connection.terminate()


async def _replay(
    connection: asyncpg.Connection, reading: ReadingAhead, projection: Projection, progress: Progress
) -> ReplayedProjection:
    started = time.perf_counter()
    built = await _begin(connection, projection)
    events = await _catch_up(connection, reading, built, progress)
    folded = time.perf_counter() - started
    position, (rows, count, first) = await _compare(connection, built)
    await _swap(connection, built)
    await drop_retired(connection)
    return ReplayedProjection(
        projection=projection.name,
        version=projection.version,
        position=position,
        events=events,
        rows=rows,
        seconds=round(time.perf_counter() - started, 3),
        events_per_second=int(events / folded),
        difference_count=count,
        differences=first,
    )


async def _begin(connection: asyncpg.Connection, projection: Projection) -> Followed:
    built = await begin(connection, projection, TrackState.REPLAY)
    if built is None:
        left = await load_track(connection, projection.name, TrackState.REPLAY)
        if left is not None and await retire_left_behind(connection, left):
            built = await begin(connection, projection, TrackState.REPLAY)
    if built is None:
        raise UnavailableError(f"another replay of {projection.name} is running")
    return built


async def _goal(connection: asyncpg.Connection, name: str) -> int:
    """Where the live track stands: never past it, for there both are compared."""
    live = await load_track(connection, name, TrackState.LIVE)
    return await newest_position(connection) if live is None else live.position


async def _catch_up(connection: asyncpg.Connection, reading: ReadingAhead, built: Followed, progress: Progress) -> int:
    """Until nothing is left of a page between them; returns how many events that were."""
    events = 0
    while (goal := await _goal(connection, built.track.name)) - built.track.position >= PAGE_EVENTS:
        progress(built.track.position, goal)
        events += await reading.advance(connection, [built], goal)
    reading.close()
    return events + await _catch_up_to(connection, built, goal)


async def _catch_up_to(connection: asyncpg.Connection, built: Followed, goal: int) -> int:
    events = 0
    while built.track.position < goal:
        events += await advance(connection, [built], goal)
    return events


async def _compare(connection: asyncpg.Connection, built: Followed) -> tuple[int, tuple[int, int, list[RowDifference]]]:
    """In one snapshot, in which the live track stands still; what it is ahead by is caught up within."""
    async with connection.transaction(isolation="repeatable_read"):
        await take_time(connection)
        live = await load_track(connection, built.track.name, TrackState.LIVE)
        if live is None or live.version != built.track.version:
            return built.track.position, (0, 0, [])
        await _catch_up_to(connection, built, live.position)
        found = await compare_tables(connection, live, built.track, built.projection.shapes, MAX_DIFFERENCES)
        return live.position, found


async def _swap(connection: asyncpg.Connection, built: Followed) -> None:
    ends_at = time.monotonic() + SWAP_SECONDS
    while time.monotonic() < ends_at:
        await _catch_up_to(connection, built, await _goal(connection, built.track.name))
        with contextlib.suppress(*BUSY):
            if await swap_in(connection, built):
                return
        await asyncio.sleep(RETRY_SECONDS)
    raise UnavailableError(f"readers of {built.track.name} were in the way of the swap: run it again")
