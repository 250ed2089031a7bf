"""The log becomes usage, each event once: whoever is killed, frozen or beside it, and whatever version it is."""

import contextlib
import signal
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
from contracts.events.registry import LedgerEvent
from ledger.projections.usage import USAGE, Usage
from ledger.projector import leading
from ledger.store.projected import tracks as tracks_module
from ledger.store.projected.tables import TableShape
from ledger.store.projected.tracks import PageEvent, Track

from tests.support.eventually import eventually
from tests.support.projecting import (
    assert_usage_is_right,
    calls,
    caught_up,
    live_track,
    projecting,
    projector_process,
    tables_there,
    traffic,
    usage_tables,
)

HELD = 424_242
"""An advisory lock of the tests: who writes usage waits for it."""


class NextUsage(Usage):
    """The usage of a later release."""

    version = USAGE.version + 1  # type: ignore[misc]  # final in this release


class Picky(Usage):
    """A projection that can't take in what stands far back in the log."""

    name = "picky"  # type: ignore[misc]  # as above
    shapes = (TableShape(columns={"calls": "bigint NOT NULL"}, key=("calls",)),)  # type: ignore[assignment,misc]

    def __init__(self, trouble: str) -> None:
        self.trouble = trouble
        self.is_broken = True

    async def apply(
        self, connection: asyncpg.Connection, track: Track, events: Sequence[PageEvent[LedgerEvent]]
    ) -> None:
        if self.is_broken and events[-1].position > 1_000:
            if self.trouble == "event":
                raise ValueError("this can't be")
            await connection.execute("INSERT INTO projections.gone VALUES (1)")
        await connection.execute(f"INSERT INTO {track.table} VALUES ($1) ON CONFLICT DO NOTHING", len(events))


@contextlib.asynccontextmanager
async def held_up(owner: asyncpg.Connection, timing: str) -> AsyncIterator[None]:
    """Whoever writes usage waits `timing` (in the statement, or at the commit) until the block ends."""
    track = await live_track(owner)
    assert track is not None
    table = f"projections.usage_v{track[1]}_{track[0]}"
    await owner.execute(f"""
        CREATE OR REPLACE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock_shared({HELD}); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER wait AFTER INSERT OR UPDATE ON {table} {timing}
        FOR EACH ROW EXECUTE FUNCTION public.wait()
    """)
    await owner.execute("SELECT pg_advisory_lock($1)", HELD)
    try:
        yield
    finally:
        await owner.execute("SELECT pg_advisory_unlock($1)", HELD)


async def waiting_backend(owner: asyncpg.Connection) -> int | None:
    pid: int | None = await owner.fetchval(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted", HELD
    )
    return pid


async def has_ended(owner: asyncpg.Connection, backend: int) -> bool:
    return not await owner.fetchval("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", backend)


async def test_two_projectors_at_once_count_each_event_once(own_ledger: str, damaged: asyncpg.Connection) -> None:
    async with projecting(own_ledger), projecting(own_ledger), projector_process(own_ledger), traffic(own_ledger):
        await eventually(lambda: _live_version(damaged, USAGE.version), 20, message="usage is read")
        await eventually(lambda: _has_calls(damaged, 900), 30, message="calls are counted while they are made")
    async with projecting(own_ledger):
        await caught_up(damaged)
    await assert_usage_is_right(damaged)


@pytest.mark.parametrize("timing", ["NOT DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"], ids=["write", "commit"])
async def test_killed_with_its_page_written_and_not_committed_it_counts_it_once(
    own_ledger: str, damaged: asyncpg.Connection, timing: str
) -> None:
    async with projecting(own_ledger):
        await caught_up(damaged)
    async with calls(own_ledger) as made:
        await made.make(20)
    async with projector_process(own_ledger) as killed:
        async with held_up(damaged, timing):
            backend = await eventually(lambda: waiting_backend(damaged), 20, message="it has written its page")
            killed.process.kill()
            await killed.process.wait()
        await eventually(lambda: has_ended(damaged, backend), message="its connection is gone")
    async with projecting(own_ledger):
        await caught_up(damaged)
    await assert_usage_is_right(damaged)


async def test_a_frozen_leader_is_followed_and_counts_nothing_twice_when_it_thaws(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    async with projecting(own_ledger):
        await caught_up(damaged)
    async with calls(own_ledger) as made, projector_process(own_ledger) as frozen:
        await made.make(20)
        async with held_up(damaged, "NOT DEFERRABLE"):
            backend = await eventually(lambda: waiting_backend(damaged), 20, message="it has written its page")
            frozen.process.send_signal(signal.SIGSTOP)
            await eventually(lambda: has_ended(damaged, backend), 20, message="it is not waited for")
        async with projecting(own_ledger):
            await caught_up(damaged)
        await assert_usage_is_right(damaged)
        frozen.process.send_signal(signal.SIGCONT)
        await made.make(20)
        await caught_up(damaged)
    await assert_usage_is_right(damaged)


async def test_a_new_version_takes_the_old_ones_place_while_calls_are_made(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    async with projecting(own_ledger, [USAGE]), traffic(own_ledger):
        await eventually(lambda: _live_version(damaged, USAGE.version), 20, message="this version is read")
        async with projecting(own_ledger, [NextUsage()]):
            second = await eventually(
                lambda: _live_version(damaged, NextUsage.version), 20, message="the next version is read"
            )
            dropped = usage_tables(second, NextUsage.version)
            await eventually(lambda: _are(damaged, dropped), 20, message="the old tables are gone")
    async with projecting(own_ledger, [USAGE]):  # a process of the version before builds nothing
        async with projecting(own_ledger, [NextUsage()]):
            await caught_up(damaged)
        assert await live_track(damaged) == (second, NextUsage.version)
    await assert_usage_is_right(damaged)


async def test_a_table_that_somebody_has_made_a_view_of_stays_and_holds_up_nothing(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    async with projecting(own_ledger, [USAGE]):
        await caught_up(damaged)
    first = await live_track(damaged)
    assert first is not None
    table = f"usage_v{first[1]}_{first[0]}"
    await damaged.execute(f"CREATE VIEW public.of_somebody AS SELECT calls FROM projections.{table}")
    async with projecting(own_ledger, [NextUsage()]), calls(own_ledger) as made:
        second = await eventually(
            lambda: _live_version(damaged, NextUsage.version), 20, message="the next version is read"
        )
        await made.make(5)
        await caught_up(damaged)
        assert table in await tables_there(damaged)
        await damaged.execute("DROP VIEW public.of_somebody")
        left = usage_tables(second, NextUsage.version)
        await eventually(lambda: _are(damaged, left), 20, message="the old tables are gone")
    await assert_usage_is_right(damaged)


@pytest.mark.parametrize("page_events", [100, 5_000], ids=["while it swaps", "while it builds"])
@pytest.mark.parametrize("trouble", ["event", "table"])
async def test_what_one_projection_can_not_take_in_holds_up_no_other(
    own_ledger: str, damaged: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, trouble: str, page_events: int
) -> None:
    monkeypatch.setattr(tracks_module, "PAGE_EVENTS", page_events)
    monkeypatch.setattr(leading, "PATIENCE_SECONDS", 0.2)
    picky = Picky(trouble)
    async with projecting(own_ledger, [picky, USAGE]) as projector:
        await caught_up(damaged)
        await assert_usage_is_right(damaged)
        reason = await projector.why_stuck()
        assert reason is not None
        assert "picky can't go on after position" in reason
        assert ("ValueError: this can't be" if trouble == "event" else 'relation "projections.gone"') in reason
        picky.is_broken = False
        await caught_up(damaged, "picky")
        assert await projector.why_stuck() is None


async def test_it_tells_how_far_it_is_behind_and_is_ready_when_it_is_not(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    async with projector_process(own_ledger) as projector:

        async def is_ready() -> bool:
            return (await projector.fetch("/health/ready"))[0] == 200

        await eventually(is_ready, 20, message="usage can be read")
        await caught_up(damaged)

        async def has_told() -> bool:
            _, metrics = await projector.fetch("/metrics")
            told = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line.startswith("solaris_projector"))
            return (
                told.get('solaris_projector_lag_events{projection="usage"}') == "0.0"
                and told.get('solaris_projector_lag_seconds{projection="usage"}') == "0.0"
                and told.get('solaris_projector_leader{projection="usage"}') == "1.0"
                and told.get("solaris_projector_stuck_tracks") == "0.0"
            )

        await eventually(has_told, 20, message="nothing is behind")
        # The row of the track is held: nobody gets on until it is let go, and that is told.
        async with damaged.transaction():
            await damaged.execute("SELECT FROM projections.tracks FOR UPDATE")
            async with calls(own_ledger) as made:
                await made.make(3)

            async def is_behind() -> bool:
                _, metrics = await projector.fetch("/metrics")
                return 'solaris_projector_lag_events{projection="usage"} 6.0' in metrics

            await eventually(is_behind, 20, message="what is lacking is told")
        await caught_up(damaged)


async def test_it_can_read_the_log_and_write_nothing_but_its_own(own_ledger: str, damaged: asyncpg.Connection) -> None:
    async with projecting(own_ledger):
        await caught_up(damaged)
    await damaged.execute("SET ROLE solaris_projector")
    assert await damaged.fetchval("SELECT count(*) FROM ledger.events")
    for forbidden in (
        "INSERT INTO ledger.events OVERRIDING SYSTEM VALUE SELECT * FROM ledger.events",
        "UPDATE ledger.events SET data = ''",
        "DELETE FROM ledger.events",
        "SELECT locale FROM ledger.profiles",
        "SELECT searched FROM ledger.profiles",
        "UPDATE ledger.profiles SET name = 'x'",
        "SELECT state FROM ledger.accounts",
        "UPDATE ledger.accounts SET version = 0",
        "CREATE TABLE ledger.mine ()",
        "CREATE TABLE public.mine ()",
        "DROP TABLE projections.tracks",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await damaged.execute(forbidden)
    owners = await damaged.fetch("SELECT DISTINCT tableowner FROM pg_tables WHERE tablename LIKE 'usage%'")
    assert [row[0] for row in owners] == ["solaris_projector"]


async def _has_calls(connection: asyncpg.Connection, number: int) -> bool:
    return bool(await connection.fetchval("SELECT sum(calls) > $1 FROM projections.usage", number))


async def _live_version(connection: asyncpg.Connection, version: int) -> int | None:
    track = await live_track(connection)
    return track[0] if track is not None and track[1] == version else None


async def _are(connection: asyncpg.Connection, tables: set[str]) -> bool:
    return await tables_there(connection) == tables
