"""Begins tracks beside the one that is read, and lets one take its place."""

import contextlib
from typing import Final

import asyncpg
from contracts.errors import UnavailableError

from ledger.projections.advancing import Followed, advance
from ledger.projections.projection import Projection
from ledger.store.log import newest_position
from ledger.store.projected.tables import (
    create_tables,
    drop_table,
    drop_tables,
    index_for_readers,
    load_tables_of_nobody,
    show_tables,
)
from ledger.store.projected.tracks import (
    PAGE_EVENTS,
    MovedError,
    NumberTakenError,
    Track,
    TrackState,
    begin_track,
    forget_track,
    go_live,
    let_go_of_track,
    load_retired_tracks,
    load_track,
    lock_tracks,
    retire_track,
    take_track,
)

BUSY: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
"""Readers of the tables, or another swap, were in the way: nothing was done, and it may be tried again."""
IN_USE: Final = (*BUSY, asyncpg.DependentObjectsStillExistError)
"""Somebody reads a table, or has made a view of it rather than of the projection: it stays."""
NUMBERS_TRIED: Final = 100
REST_EVENTS: Final = 2 * PAGE_EVENTS
"""So much at most is caught up while the live track waits."""


async def begin(connection: asyncpg.Connection, projection: Projection, state: TrackState) -> Followed | None:
    """A track of this version from the log's beginning, with its tables; None where there is one in that state.

    Where somebody has emptied the list of tracks, there are tables of its number already, or a process that leads it:
    they are left alone.
    """
    for _ in range(NUMBERS_TRIED):
        with contextlib.suppress(asyncpg.DuplicateTableError, NumberTakenError):
            async with connection.transaction():
                track = await begin_track(connection, projection.name, projection.version, state)
                if track is None:
                    return None
                await create_tables(connection, track, projection.shapes)
            return Followed(projection, track)
    raise UnavailableError(f"there are tables of {projection.name} that no track knows: drop them")


async def swap_in(connection: asyncpg.Connection, built: Followed) -> bool:
    """Let readers see this track from now on, no earlier position than before; False where it is not that far yet.

    The live track, if there is one, waits meanwhile, and is retired.

    Raises:
        MovedError: the track was moved or put away by somebody else.
        asyncpg.LockNotAvailableError: a reader takes longer than is waited for.
    """
    if await _rest(connection, built.track) > REST_EVENTS:
        return False
    await index_for_readers(connection, built.track, built.projection.shapes)
    before = built.track
    try:
        async with connection.transaction():
            return await _swap_in(connection, built)
    except BaseException:
        built.track = before
        raise


async def _rest(connection: asyncpg.Connection, track: Track) -> int:
    """How many positions it lacks of where it would be read."""
    live = await load_track(connection, track.name, TrackState.LIVE)
    return (await newest_position(connection) if live is None else live.position) - track.position


async def _swap_in(connection: asyncpg.Connection, built: Followed) -> bool:
    tracks = {track.state: track for track in await lock_tracks(connection, built.track.name)}
    if tracks.get(built.track.state) != built.track:
        raise MovedError(f"track {built.track.track_id} is not where it was left")
    live = tracks.get(TrackState.LIVE)
    goal = await newest_position(connection) if live is None else live.position
    if goal - built.track.position > REST_EVENTS:
        return False
    while built.track.position < goal:
        await advance(connection, [built], goal)
    if live is not None:
        await retire_track(connection, live.track_id)
    await go_live(connection, built.track.track_id)
    await show_tables(connection, built.track, built.projection.shapes)
    return True


async def drop_retired(connection: asyncpg.Connection) -> None:
    """Drop tables that nobody reads any more, also of tracks that are gone; those in use stay until the next time."""
    for track in await load_retired_tracks(connection):
        try:
            async with connection.transaction():
                await drop_tables(connection, track)
                await forget_track(connection, track.track_id)
        except IN_USE:
            continue
        await let_go_of_track(connection, track.track_id)
    for table in await load_tables_of_nobody(connection):
        with contextlib.suppress(*IN_USE):
            async with connection.transaction():
                await drop_table(connection, table)


async def retire_left_behind(connection: asyncpg.Connection, track: Track) -> bool:
    """Put away an operator's track that is not live, unless the process that makes it still lives."""
    if not await take_track(connection, track.track_id):
        return False
    await retire_track(connection, track.track_id)
    await let_go_of_track(connection, track.track_id)
    return True
