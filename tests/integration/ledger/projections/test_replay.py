"""A projection is built anew beside the one that is read, compared row by row, and takes its place."""

import asyncio

import asyncpg
import pytest
from contracts.errors import UnavailableError
from ledger.projections import replay as replay_module
from ledger.projections.catalog import BY_NAME, PROJECTIONS
from ledger.projections.replay import ReplayedProjection, replay_projection
from ledger.projections.swapping import begin
from ledger.projections.usage import USAGE
from ledger.store.projected import tracks as tracks_module
from ledger.store.projected.tracks import TrackState, connect_for_projecting

from tests.support.eventually import eventually
from tests.support.ledger_operate import operate_on
from tests.support.projecting import (
    assert_usage_is_right,
    caught_up,
    live_track,
    projecting,
    tables_there,
    traffic,
    usage_tables,
)


async def replayed(database_url: str) -> ReplayedProjection:
    result = await replay_projection(database_url, USAGE, lambda _, __: None)
    assert result is not None
    return result


async def usage_table(connection: asyncpg.Connection) -> str:
    track = await live_track(connection)
    assert track is not None
    return f"projections.usage_v{track[1]}_{track[0]}"


async def test_what_is_right_is_found_right_and_swapped_while_calls_are_made(
    own_ledger: str, damaged: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracks_module, "PAGE_EVENTS", 100)
    monkeypatch.setattr(replay_module, "PAGE_EVENTS", 100)
    told: list[tuple[int, int]] = []
    async with projecting(own_ledger), traffic(own_ledger):
        await eventually(lambda: live_track(damaged), 20, message="usage is read")
        for _ in range(3):
            before = await live_track(damaged)
            result = await replay_projection(own_ledger, USAGE, lambda done, of: told.append((done, of)))
            assert result is not None
            assert (result.difference_count, result.differences) == (0, [])
            assert result.rows > 0
            assert result.position >= result.events > 1_500
            assert await live_track(damaged) != before
    async with projecting(own_ledger):
        await caught_up(damaged)
        track = await live_track(damaged)
        assert track is not None
        left = usage_tables(*track)
        await eventually(lambda: _are(damaged, left), 20, message="the old tables are gone")
    assert all(done <= of for done, of in told)
    assert len(told) > 30
    await assert_usage_is_right(damaged)


async def test_damage_is_told_row_by_row_and_is_gone_afterwards(own_ledger: str, damaged: asyncpg.Connection) -> None:
    async with projecting(own_ledger):
        await caught_up(damaged)
    table = await usage_table(damaged)
    changed = await damaged.fetchrow(f"SELECT * FROM {table} ORDER BY account_id LIMIT 1")
    assert changed is not None
    await damaged.execute(f"UPDATE {table} SET calls = calls + 1 WHERE account_id = $1", changed[0])
    await damaged.execute(f"DELETE FROM {table} WHERE account_id = 'account-00002'")
    await damaged.execute(f"INSERT INTO {table} SELECT 'nobody', {_rest(table)}")
    ran = await operate_on(own_ledger)("replay", projection="usage")
    assert (ran.code, ran.err) == (1, "")
    told = [(each["live"] is None, each["rebuilt"] is None) for each in ran.json["differences"]]
    assert set(told) == {(False, False), (True, False), (False, True)}
    assert ran.json["difference_count"] == len(told)
    sound = await operate_on(own_ledger)("replay", projection="usage")
    assert (sound.code, sound.json["differences"]) == (0, [])
    assert sound.json["rows"] > 0
    async with projecting(own_ledger):  # it goes on from where the rebuilt one stands
        await caught_up(damaged)
    await assert_usage_is_right(damaged)


async def test_all_is_one_answer_with_the_differences_of_all(own_ledger: str, damaged: asyncpg.Connection) -> None:
    operate = operate_on(own_ledger)
    async with projecting(own_ledger):
        await caught_up(damaged)
    await damaged.execute(f"DELETE FROM {await usage_table(damaged)} WHERE account_id = 'account-00002'")
    ran = await operate("replay")
    (usage, *others) = ran.json["projections"]
    assert ran.code == 1
    assert ran.json["difference_count"] == usage["difference_count"] > 0
    assert [each["difference_count"] for each in others] == [0] * (len(PROJECTIONS) - 1)
    assert (ran.json["projection"], ran.json["differences"], ran.json["failed"]) == ("all", [], {})
    sound = await operate("replay")
    assert (sound.code, sound.json["difference_count"]) == (0, 0)


async def test_what_can_not_be_replayed_is_told_beside_the_rest(own_ledger: str, damaged: asyncpg.Connection) -> None:
    await damaged.execute("REVOKE SELECT ON ledger.events FROM solaris_projector")
    ran = await operate_on(own_ledger)("replay")
    assert (ran.code, ran.json["difference_count"], ran.json["projections"]) == (1, 0, [])
    assert ran.json["failed"].keys() == BY_NAME.keys()
    assert all("permission denied" in reason for reason in ran.json["failed"].values())
    assert ran.json["accounts"] > 0


async def test_what_was_never_built_or_emptied_is_built(own_ledger: str, damaged: asyncpg.Connection) -> None:
    operate = operate_on(own_ledger)
    (await operate("usage")).assert_refused(1)
    first = await operate("replay", projection="usage")
    assert (first.code, first.json["rows"]) == (0, 0)
    await assert_usage_is_right(damaged)
    await damaged.execute(f"TRUNCATE {await usage_table(damaged)}")
    assert (await operate("replay", projection="usage")).code == 1
    assert (await operate("replay", projection="usage")).code == 0
    await assert_usage_is_right(damaged)
    await damaged.execute("TRUNCATE projections.tracks RESTART IDENTITY")
    async with projecting(own_ledger):
        await caught_up(damaged)
        await assert_usage_is_right(damaged)
    assert (await operate("replay", projection="usage")).code == 0
    live = await live_track(damaged)
    assert live is not None
    tables = {each for each in await tables_there(damaged) if each.startswith("usage_")}
    assert {each.removeprefix(f"usage_v{live[1]}_{live[0]}") for each in tables} == {
        *("", "_estimates", "_overview", "_activity")
    }, "what the emptied list left behind is dropped"


async def test_where_the_list_was_emptied_a_number_that_somebody_still_leads_is_passed_over(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    leading = await connect_for_projecting(own_ledger, "test")
    led = await begin(leading, USAGE, TrackState.BUILDING)
    assert led is not None
    await damaged.execute("TRUNCATE projections.tracks RESTART IDENTITY")
    await damaged.execute(f"DROP TABLE {', '.join(f'projections.{each}' for each in await tables_there(damaged))}")
    other = await connect_for_projecting(own_ledger, "test")
    begun = await begin(other, USAGE, TrackState.BUILDING)
    assert begun is not None
    assert begun.track.track_id > led.track.track_id
    leading.terminate()
    other.terminate()


async def test_one_replay_at_a_time_and_none_is_held_up_by_one_that_was_killed(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    async with projecting(own_ledger):
        await caught_up(damaged)
        other = await connect_for_projecting(own_ledger, "test")
        assert await begin(other, USAGE, TrackState.REPLAY) is not None
        with pytest.raises(UnavailableError, match="another replay of usage is running"):
            await replayed(own_ledger)
        other.terminate()
        await eventually(lambda: _none_left(damaged), 20, message="what a killed replay left is put away")
        assert (await replayed(own_ledger)).difference_count == 0
    abandoned = await connect_for_projecting(own_ledger, "test")
    assert await begin(abandoned, USAGE, TrackState.REPLAY) is not None
    abandoned.terminate()
    results = await asyncio.gather(_sooner_or_later(own_ledger), _sooner_or_later(own_ledger), return_exceptions=False)
    assert [each.difference_count for each in results] == [0, 0]


async def test_a_reader_that_takes_its_time_holds_up_the_swap_and_nobody_else(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    async with projecting(own_ledger), traffic(own_ledger):
        await eventually(lambda: live_track(damaged), 20, message="usage is read")
        async with damaged.transaction():
            await damaged.fetch("SELECT count(*) FROM projections.usage")
            replaying = asyncio.create_task(replayed(own_ledger))
            reader = await asyncpg.connect(own_ledger)
            await eventually(lambda: _swap_waits(reader), 20, message="the swap waits for the reader")
            position = await _position(reader)
            await eventually(lambda: _is_past(reader, position), 20, message="the projector goes on")
            await reader.close()
        assert (await replaying).difference_count == 0


async def _sooner_or_later(database_url: str) -> ReplayedProjection:
    async def attempt() -> ReplayedProjection | None:
        try:
            return await replayed(database_url)
        except UnavailableError:
            return None

    return await eventually(attempt, 30, message="replayed")


def _rest(table: str) -> str:
    names = "starts_at, model, endpoint, calls, prompt_tokens, cached_prompt_tokens, cache_write_tokens,"
    names += " completion_tokens, reasoning_tokens, billable_tokens, cost_usd_micros, unsettled_calls,"
    return f"{names} unsettled_billable_tokens, estimated_calls, unpriced_calls FROM {table} LIMIT 1"


async def _are(connection: asyncpg.Connection, tables: set[str]) -> bool:
    return await tables_there(connection) == tables


async def _none_left(connection: asyncpg.Connection) -> bool:
    return not await connection.fetchval("SELECT count(*) FROM projections.tracks WHERE state IN ('replay', 'retired')")


async def _swap_waits(connection: asyncpg.Connection) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'projections.usage'::regclass AND NOT granted)"
        )
    )


async def _position(connection: asyncpg.Connection) -> int:
    position: int = await connection.fetchval(
        "SELECT position FROM projections.tracks WHERE name = 'usage' AND state = 'live'"
    )
    return position


async def _is_past(connection: asyncpg.Connection, position: int) -> bool:
    return await _position(connection) > position
