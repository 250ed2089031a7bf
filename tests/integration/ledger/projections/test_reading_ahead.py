"""Pages that are read while others are written: in any order of asking, and with readers that are killed, all count."""

import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest
from ledger.projections import reading_ahead
from ledger.projections.advancing import Followed
from ledger.projections.projection import Projection
from ledger.projections.reading_ahead import ReadingAhead
from ledger.projections.statement import Statement
from ledger.projections.swapping import begin
from ledger.projections.usage import Usage
from ledger.store.arrays import figures, moments, words
from ledger.store.log import newest_position
from ledger.store.projected import tracks
from ledger.store.projected.tracks import Page, TrackState, connect_for_projecting

from tests.support.eventually import eventually

READERS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'test-reading'"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks, "PAGE_EVENTS", 40)
    monkeypatch.setattr(reading_ahead, "PAGE_EVENTS", 40)


@contextlib.asynccontextmanager
async def reading(database_url: str) -> AsyncIterator[tuple[asyncpg.Connection, ReadingAhead]]:
    connection = await connect_for_projecting(database_url, "test")
    ahead = ReadingAhead(database_url, "test-reading")
    try:
        yield connection, ahead
    finally:
        ahead.close()
        connection.terminate()


async def begun(
    connection: asyncpg.Connection, projection: Projection, state: TrackState = TrackState.BUILDING
) -> Followed:
    found = await begin(connection, projection, state)
    assert found is not None
    return found


async def test_a_reader_that_is_killed_holds_up_nothing(own_ledger: str, damaged: asyncpg.Connection) -> None:
    killed = 0
    async with reading(own_ledger) as (connection, ahead):
        followed = [await begun(connection, each) for each in (Statement(), Usage())]
        newest = await newest_position(connection)
        pages = 0
        while await ahead.advance(connection, followed, newest):
            pages += 1
            if pages % 3 == 0:
                ended = await damaged.fetch(f"SELECT pg_terminate_backend(pid) FROM ({READERS}) AS reader")
                killed += len(ended)
        assert followed[0].track.position == followed[1].track.position == newest
        assert pages > 1_500 // 40
        assert killed > 3
        lines = await damaged.fetchval(f"SELECT count(*) FROM {followed[0].track.table}")
        calls = await damaged.fetchval(f"SELECT sum(calls) FROM {followed[1].track.table}")
        assert lines == calls + await damaged.fetchval("SELECT count(*) FROM ledger.accounts")
    await eventually(lambda: _no_reader(damaged), 10, message="the reader is gone")


async def test_what_was_read_is_used_by_whoever_stands_there_and_nobody_else(
    own_ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, bool]] = []

    async def load(connection: asyncpg.Connection, after: int, up_to: int, types: frozenset[type]) -> Page:
        read.append((after, connection is not writing))
        return await tracks.load_page(connection, after, up_to, types)

    monkeypatch.setattr(reading_ahead, "load_page", load)
    async with reading(own_ledger) as (writing, ahead):
        first, second = await begun(writing, Usage()), await begun(writing, Usage(), TrackState.REPLAY)
        for _ in range(3):
            await ahead.advance(writing, [first], 10**9)
        assert read[:3] == [(0, False), (40, True), (80, True)]
        del read[:]
        for _ in range(4):  # what waits for the first one is kept for it
            await ahead.advance(writing, [second], 10**9)
            await ahead.advance(writing, [first], 10**9)
        assert [after for after, is_ahead in read if not is_ahead] == [0, 40, 80, 120]
        for _ in range(10):  # and is thrown away when it does not come
            await ahead.advance(writing, [second], 10**9)
        assert [is_ahead for _, is_ahead in read][-5:] == [True] * 5
        assert (first.track.position, second.track.position) == (280, 560)


async def test_an_event_that_can_not_be_read_is_told_to_whoever_comes_to_it(
    own_ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load(connection: asyncpg.Connection, after: int, up_to: int, types: frozenset[type]) -> Page:
        if after >= 40:
            raise ValueError("this can't be")
        return await tracks.load_page(connection, after, up_to, types)

    monkeypatch.setattr(reading_ahead, "load_page", load)
    async with reading(own_ledger) as (connection, ahead):
        followed = await begun(connection, Usage())
        assert await ahead.advance(connection, [followed], 10**9) == 40
        for _ in range(2):
            with pytest.raises(ValueError, match="this can't be"):
                await ahead.advance(connection, [followed], 10**9)
        assert followed.track.position == 40


async def test_arrays_as_text_are_what_they_were(own_ledger: str) -> None:
    odd: list[str | None] = ['"', "\\", '\\"', "", "NULL", "{}", ",", "a,b", "á\n\t ' $1", '","', "gpt-4o"]
    connection = await asyncpg.connect(own_ledger)
    try:
        now = await connection.fetchval("SELECT clock_timestamp()")
        query = (
            "SELECT $1::text::text[], $2::text::bigint[], $3::text::timestamptz[], $4::text::text[], $5::text::bool[]"
        )
        cases: list[list[str | None]] = [odd, ["plain", "ones"], [None], [*odd, None], *([each] for each in odd)]
        for texts in cases:
            row = await connection.fetchrow(
                *(query, words(texts), figures([2**53, -1, 0, None]), moments([now, None]), words([])),
                figures([True, False, None]),
            )
            assert row is not None
            assert [*row] == [texts, [2**53, -1, 0, None], [now, None], [], [True, False, None]]
    finally:
        await connection.close()


async def _no_reader(connection: asyncpg.Connection) -> bool:
    return await connection.fetch(READERS) == []
