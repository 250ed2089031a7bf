"""Leads tracks: keeps the live ones up with the log, builds those of new versions beside them, and swaps."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS

from ledger.projections.advancing import Followed
from ledger.projections.projection import Projection
from ledger.projections.reading_ahead import ReadingAhead
from ledger.projections.swapping import BUSY, begin, drop_retired, retire_left_behind, swap_in
from ledger.projector.metrics import ERRORS, EVENTS, LEADS, STUCK
from ledger.store.log import newest_position
from ledger.store.projected.tracks import (
    PAGE_EVENTS,
    MovedError,
    Track,
    TrackState,
    connect_for_projecting,
    load_tracks,
    retire_track,
    take_track,
)

log = structlog.get_logger()

POLL_SECONDS: Final = 0.25
"""How soon what is new is seen."""
GATHER_SECONDS: Final = 1.0
MUCH_EVENTS: Final = 100
"""Where as many came, the next page waits longer: what a page costs beside its events is much of it, and the more
events of an account are in it, the fewer rows are written twice. Lag stays well below two seconds."""
RETRY_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 5.0
"""Until what readers were in the way of, or an event that could not be taken in, is tried again."""


_OF_STATEMENTS: Final = {"22", "23", "42", "54", "P0"}
"""Classes of SQLSTATE: data, constraints, names and rights, limits, and what a trigger raises."""


class Projector:
    """Several may run: each track is led by one of them. Were it two, a position that moves once makes it harmless."""

    def __init__(self, database_url: str, projections: Sequence[Projection]) -> None:
        self._database_url = database_url
        self._known = {projection.name: projection for projection in projections}
        self._reading = ReadingAhead(database_url, "projector-reading")
        self._stopping = asyncio.Event()
        self._stuck: dict[int, str] = {}
        self._not_before: dict[str | int, float] = {}

    def stop(self) -> None:
        """End after the page that is being written."""
        self._stopping.set()

    async def why_stuck(self) -> str | None:
        """Tracks that an event can't be made part of, and why."""
        return "; ".join(self._stuck.values()) or None

    async def run(self) -> None:
        """Lead until asked to stop, with a new connection after every failure."""
        while not self._stopping.is_set():
            try:
                await self._lead()
            except DATABASE_ERRORS as error:
                ERRORS.inc()
                log.warning("projecting_interrupted", error=repr(error))
                await self._wait(RETRY_SECONDS)

    async def _lead(self) -> None:
        connection = await connect_for_projecting(self._database_url, "projector")
        led: set[int] = set()
        try:
            while not self._stopping.is_set():
                tracks = await load_tracks(connection)
                led &= {track.track_id for track in tracks}
                self._forget_stuck(tracks)
                followed = await self._followed(connection, tracks, led)
                try:
                    passed = await self._advance_all(connection, followed)
                    await self._swap(connection, followed)
                    await self._tidy(connection, tracks)
                    if passed < PAGE_EVENTS:
                        await self._wait(GATHER_SECONDS if passed >= MUCH_EVENTS else POLL_SECONDS)
                except MovedError as error:
                    log.info("projecting_starts_over", reason=str(error))
                    await self._wait(RETRY_SECONDS)
        finally:
            for name in self._known:
                LEADS.labels(name).set(0)
            self._reading.close()
            connection.terminate()

    async def _followed(self, connection: asyncpg.Connection, tracks: Sequence[Track], led: set[int]) -> list[Followed]:
        """The tracks of known versions that nobody else leads; those that are missing are begun."""
        followed: list[Followed] = []
        for name, projection in self._known.items():
            own = {track.state: track for track in tracks if track.name == name}
            if self._is_missing(projection, own) and (begun := await self._begin(connection, projection, own)):
                led.add(begun.track.track_id)
                followed.append(begun)
                log.info("projection_begun", projection=name, version=projection.version)
            for state in (TrackState.LIVE, TrackState.BUILDING):
                track = own.get(state)
                if track is None or track.version != projection.version:
                    continue
                if track.track_id in led or await take_track(connection, track.track_id):
                    led.add(track.track_id)
                    followed.append(Followed(projection, track))
        live = {each.track.name for each in followed if each.track.state is TrackState.LIVE}
        for name in self._known:
            LEADS.labels(name).set(name in live)
        return followed

    @staticmethod
    def _is_missing(projection: Projection, own: dict[TrackState, Track]) -> bool:
        """Whether no track in use is of this version or a later one."""
        newest = max((track.version for state, track in own.items() if state is not TrackState.REPLAY), default=0)
        return newest < projection.version

    @staticmethod
    async def _begin(
        connection: asyncpg.Connection, projection: Projection, own: dict[TrackState, Track]
    ) -> Followed | None:
        if (older := own.get(TrackState.BUILDING)) is not None:
            await retire_track(connection, older.track_id)
        return await begin(connection, projection, TrackState.BUILDING)

    async def _advance_all(self, connection: asyncpg.Connection, followed: Sequence[Followed]) -> int:
        """One page of each position at which tracks stand, the live ones first; the most events that one had."""
        newest, longest = await newest_position(connection), 0
        for building in (False, True):
            turn = [each for each in followed if (each.track.state is TrackState.BUILDING) is building]
            turn = [each for each in turn if self._may_try(each.track.track_id)]
            for _, together in groupby(sorted(turn, key=_position), key=_position):
                longest = max(longest, await self._advance(connection, list(together), newest))
        return longest

    async def _advance(self, connection: asyncpg.Connection, together: list[Followed], newest: int) -> int:
        try:
            passed = await self._reading.advance(connection, together, newest)
        except MovedError:
            raise
        except Exception as error:
            if not _is_of_a_projection(error):
                raise
            if len(together) > 1:  # one that can't take it in must not hold up the others
                return max([await self._advance(connection, [each], newest) for each in together])
            self._give_up_for_now(together[0].track, error)
            return 0
        for each in together:
            EVENTS.labels(each.track.name, each.track.state).inc(passed)
            if passed and each.track.track_id in self._stuck:
                del self._stuck[each.track.track_id]
                STUCK.set(len(self._stuck))
        return passed

    def _give_up_for_now(self, track: Track, error: Exception) -> None:
        reason = f"{track.name} can't go on after position {track.position}: {type(error).__name__}: {error}"
        if self._stuck.get(track.track_id) != reason:
            log.error("projection_stuck", projection=track.name, version=track.version, reason=reason)
        self._stuck[track.track_id] = reason
        STUCK.set(len(self._stuck))
        self._put_off(track.track_id)

    async def _swap(self, connection: asyncpg.Connection, followed: Sequence[Followed]) -> None:
        """Let tracks that have caught up be read."""
        for each in followed:
            track = each.track
            is_its_turn = self._may_try(track.name) and self._may_try(track.track_id)
            if track.state is not TrackState.BUILDING or not is_its_turn:
                continue
            try:
                if await swap_in(connection, each):
                    log.info("projection_swapped", projection=track.name, version=track.version)
            except BUSY:
                self._put_off(track.name)
            except MovedError:
                raise
            except Exception as error:
                if not _is_of_a_projection(error):
                    raise
                self._give_up_for_now(track, error)

    async def _tidy(self, connection: asyncpg.Connection, tracks: Sequence[Track]) -> None:
        """Every few seconds: drop what is not used any more, and what a killed replay has left behind."""
        if not self._may_try("tidy"):
            return
        self._put_off("tidy")
        for track in tracks:
            if track.state is TrackState.REPLAY and await retire_left_behind(connection, track):
                log.info("replay_left_behind", projection=track.name)
        await drop_retired(connection)

    def _forget_stuck(self, tracks: Sequence[Track]) -> None:
        in_use = {track.track_id for track in tracks}
        self._stuck = {track_id: reason for track_id, reason in self._stuck.items() if track_id in in_use}
        STUCK.set(len(self._stuck))

    def _may_try(self, what: str | int) -> bool:
        return asyncio.get_running_loop().time() >= self._not_before.get(what, 0.0)

    def _put_off(self, what: str | int) -> None:
        self._not_before[what] = asyncio.get_running_loop().time() + PATIENCE_SECONDS

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def _is_of_a_projection(error: Exception) -> bool:
    """Whether it is the projection, its tables or an event that is wrong, and not the database or the way to it."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate)[:2] in _OF_STATEMENTS
    return not isinstance(error, DATABASE_ERRORS)


def _position(followed: Followed) -> int:
    return followed.track.position
