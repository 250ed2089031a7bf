"""Tracks: how far each projection has come, the pages of the log that it reads, and which of its tables are read."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import asyncpg
from chassis.locks import PROJECTION_TRACK
from contracts.events.registry import LedgerEvent
from msgspec import Struct

from ledger.store.codec import TYPES
from ledger.store.facts import Fact, decode_fact
from ledger.store.log import CONNECT_TIMEOUT_SECONDS

PAGE_EVENTS: Final = 5_000
FROZEN_SECONDS: Final = 8
"""Longer than the slowest page of a process that lives."""
STATEMENT_TIMEOUT_SECONDS: Final = 30.0
ROLE: Final = "solaris_projector"

_TRACKS: Final = """
SELECT track_id, name, version, state, position FROM projections.tracks WHERE state <> 'retired' ORDER BY track_id
"""
_TRACK_OF: Final = """
SELECT track_id, name, version, state, position FROM projections.tracks WHERE name = $1 AND state = $2
"""
_RETIRED: Final = "SELECT track_id, name, version, state, position FROM projections.tracks WHERE state = 'retired'"
_BEGIN: Final = """
INSERT INTO projections.tracks (name, version, state) VALUES ($1, $2, $3)
ON CONFLICT (name, state) WHERE state <> 'retired' DO NOTHING
RETURNING track_id, name, version, state, position
"""
# Whoever changes a track's rows comes through here first, so two that read the same page wait for each other here.
_MOVE: Final = """
UPDATE projections.tracks SET position = $3
WHERE track_id = ANY ($1::integer[]) AND position = $2 AND state <> 'retired'
"""
_LOCK: Final = """
SELECT track_id, name, version, state, position FROM projections.tracks
WHERE name = $1 AND state <> 'retired' ORDER BY track_id FOR UPDATE
"""
_RETIRE: Final = "UPDATE projections.tracks SET state = 'retired' WHERE track_id = $1 AND state <> 'retired'"
_GO_LIVE: Final = "UPDATE projections.tracks SET state = 'live', live_since = clock_timestamp() WHERE track_id = $1"
_FORGET: Final = "DELETE FROM projections.tracks WHERE track_id = $1 AND state = 'retired'"
_TAKE: Final = f"SELECT pg_try_advisory_lock({PROJECTION_TRACK}, $1)"
_LET_GO: Final = f"SELECT pg_advisory_unlock({PROJECTION_TRACK}, $1)"
_PAGE: Final = """
SELECT position, account_id, type, CASE WHEN type = ANY ($4::text[]) THEN data END, version FROM ledger.events
WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3
"""
_LAG: Final = """
SELECT track.name, track.version, greatest(newest.position - track.position, 0) AS events,
    coalesce(extract(epoch FROM clock_timestamp() - (
        SELECT recorded_at FROM ledger.events WHERE position > track.position ORDER BY position LIMIT 1
    ))::float8, 0) AS seconds
FROM projections.tracks AS track, (SELECT coalesce(max(position), 0) AS position FROM ledger.events) AS newest
WHERE track.state = 'live'
"""


class MovedError(Exception):
    """Somebody else has moved a track on, or put it away: what was read of it is to be read anew."""


class NumberTakenError(Exception):
    """Somebody still leads a track of that number, which is in the list no more: the next one is to be tried."""


class TrackState(StrEnum):
    """`live` is what is read; `building` is to follow it, `replay` is made by an operator to be compared with it."""

    BUILDING = "building"
    REPLAY = "replay"
    LIVE = "live"
    RETIRED = "retired"


class Track(Struct, frozen=True):
    """One projection at one version: all events up to `position` are in its tables, each once, and none after it."""

    track_id: int
    name: str
    version: int
    state: TrackState
    position: int

    @property
    def table(self) -> str:
        """The table with its schema; those beside it are called the same, with a suffix."""
        return f"projections.{self.name}_v{self.version}_{self.track_id}"


class Lag(Struct, frozen=True):
    """How far a live track is behind the log: by events, gaps counted, and by the age of the first that it lacks."""

    name: str
    version: int
    events: int
    seconds: float


class PageEvent[Data](Struct, frozen=True):
    """An event of a page, with what was decided and when; `version` is its number among the account's, from 1."""

    position: int
    account_id: str
    fact: Fact[Data]
    version: int


class Page(Struct, frozen=True):
    """All events after position `after` up to `last`, `count` of them; `events` are those of the types asked for."""

    after: int
    last: int
    count: int
    events: Sequence[PageEvent[LedgerEvent]]


async def connect_for_projecting(database_url: str, application_name: str) -> asyncpg.Connection:
    """A connection with the projector's rights, so that all tables are its own, whoever made them.

    A process that is frozen loses it, and with it its tracks.
    """
    return await asyncpg.connect(
        database_url,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=STATEMENT_TIMEOUT_SECONDS,
        server_settings={
            "application_name": application_name,
            "role": ROLE,
            # A page that a crash loses is read again: its position went with it.
            "synchronous_commit": "off",
            "jit": "off",
            "idle_session_timeout": f"{FROZEN_SECONDS}s",
            "transaction_timeout": f"{FROZEN_SECONDS}s",
            # Of a transaction that may take longer than others; its snapshot keeps vacuum from its work.
            "idle_in_transaction_session_timeout": "60s",
        },
    )


async def load_tracks(connection: asyncpg.Connection) -> list[Track]:
    """Those in use, the oldest first."""
    return [_track(row) for row in await connection.fetch(_TRACKS)]


async def load_track(connection: asyncpg.Connection, name: str, state: TrackState) -> Track | None:
    row = await connection.fetchrow(_TRACK_OF, name, state)
    return None if row is None else _track(row)


async def load_retired_tracks(connection: asyncpg.Connection) -> list[Track]:
    """Those whose tables nobody reads any more, until they are dropped."""
    return [_track(row) for row in await connection.fetch(_RETIRED)]


async def begin_track(connection: asyncpg.Connection, name: str, version: int, state: TrackState) -> Track | None:
    """A track at position 0, taken by this session; None where there is one in that state. Within a transaction.

    Raises:
        NumberTakenError: somebody else leads a track that had its number, before the list of them was emptied.
    """
    row = await connection.fetchrow(_BEGIN, name, version, state)
    if row is None:
        return None
    track = _track(row)
    if not await take_track(connection, track.track_id):
        raise NumberTakenError(f"track {track.track_id}")
    return track


async def take_track(connection: asyncpg.Connection, track_id: int) -> bool:
    """Whether this session leads the track from now on, until it ends. What is right never depends on it."""
    taken: bool = await connection.fetchval(_TAKE, track_id)
    return taken


async def let_go_of_track(connection: asyncpg.Connection, track_id: int) -> None:
    await connection.execute(_LET_GO, track_id)


async def move_tracks(connection: asyncpg.Connection, track_ids: Sequence[int], after: int, to: int) -> None:
    """Within the transaction that writes the page, before all else.

    Raises:
        MovedError: one of them does not stand where it was read; nothing may be written.
    """
    status = await connection.execute(_MOVE, track_ids, after, to)
    if status != f"UPDATE {len(track_ids)}":
        raise MovedError(f"not all of the tracks {list(track_ids)} stand at position {after}")


async def lock_tracks(connection: asyncpg.Connection, name: str) -> list[Track]:
    """A projection's tracks in use, which nobody moves until the transaction ends."""
    return [_track(row) for row in await connection.fetch(_LOCK, name)]


async def retire_track(connection: asyncpg.Connection, track_id: int) -> None:
    await connection.execute(_RETIRE, track_id)


async def go_live(connection: asyncpg.Connection, track_id: int) -> None:
    """The live one before it is to be retired first."""
    await connection.execute(_GO_LIVE, track_id)


async def forget_track(connection: asyncpg.Connection, track_id: int) -> None:
    await connection.execute(_FORGET, track_id)


async def load_page(
    connection: asyncpg.Connection, after: int, up_to: int, types: frozenset[type[LedgerEvent]]
) -> Page:
    """The next events after a position, at most `PAGE_EVENTS`, and none beyond `up_to`.

    Position order is commit order, so none of them comes later. Events of other types are not even decoded.
    """
    rows = await connection.fetch(_PAGE, after, up_to, PAGE_EVENTS, [TYPES[each] for each in types])
    events = [
        PageEvent(position, account_id, decode_fact(event_type, data), version)
        for position, account_id, event_type, data, version in rows
        if data is not None
    ]
    return Page(after, rows[-1][0] if rows else after, len(rows), events)


async def load_lags(connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy) -> list[Lag]:
    """Of every live track."""
    return [Lag(row[0], row[1], row[2], max(0.0, row[3])) for row in await connection.fetch(_LAG)]


def _track(row: asyncpg.Record) -> Track:
    return Track(row[0], row[1], row[2], TrackState(row[3]), row[4])
