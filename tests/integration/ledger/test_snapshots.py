"""Snapshots make a balance of any moment cheap, and never another one; verify and replay hold them to the events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from contracts.balance import Balance
from contracts.errors import NotFoundError
from ledger.application.balances import balance_at
from ledger.audit.differences import Projection
from ledger.audit.replay import replay
from ledger.audit.verify import Broken, Verified, VerifiedSince, verify
from ledger.domain.account import STATE_FORMAT
from ledger.projector.snapshotting import Snapshots
from ledger.store.projected.tracks import connect_for_projecting
from ledger.store.snapshots import last_version_until, load_base

from tests.support.checkpoints import CheckpointDesk
from tests.support.eventually import eventually
from tests.support.ledger_operate import operate_on
from tests.support.projecting import calls, projector_process, traffic
from tests.support.tampering import tamper

ACCOUNT = "account-00003"
EVERY = 20
ALL = "SELECT * FROM ledger.snapshots ORDER BY account_id, version"


async def make(url: str) -> None:
    """All that are due."""
    connection = await connect_for_projecting(url, "test")
    try:
        while await Snapshots(url, every=EVERY).make_page(connection):
            pass
    finally:
        await connection.close()


@asynccontextmanager
async def making(url: str) -> AsyncIterator[None]:
    """As in a process that goes on until the block ends."""
    snapshots = Snapshots(url, every=EVERY)
    task = asyncio.create_task(snapshots.run())
    try:
        yield
    finally:
        snapshots.stop()
        await asyncio.wait_for(task, 20)


async def balances(owner: asyncpg.Connection, moments: list[datetime]) -> list[Balance]:
    return [await balance_at(owner, ACCOUNT, moment) for moment in moments]


async def test_a_balance_of_any_moment_is_what_it_was_without_snapshots(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    rows = await damaged.fetch(
        "SELECT recorded_at FROM ledger.events WHERE account_id = $1 AND version % 7 = 1 ORDER BY version", ACCOUNT
    )
    moments = [row[0] + timedelta(microseconds=micro) for row in rows for micro in (0, 1)]
    moments.append(moments[-1] + timedelta(days=40))
    before = await balances(damaged, moments)
    await make(own_ledger)
    assert await balances(damaged, moments) == before
    with pytest.raises(NotFoundError, match="opened later"):
        await balance_at(damaged, ACCOUNT, moments[0] - timedelta(seconds=1))
    # And they are what it begins with: of events before them nothing is read.
    await tamper(damaged, "UPDATE ledger.events SET data = 'x' WHERE account_id = $1 AND version < 80", ACCOUNT)
    assert await balances(damaged, moments[-8:]) == before[-8:]


async def test_the_last_event_of_a_moment_is_found_where_times_go_back(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    await make(own_ledger)
    # A clock was a month ahead for some events of two parts, for all of the third and for the last ones.
    for first, last in ((30, 50), (61, 80), (112, 122)):
        await tamper(
            damaged,
            "UPDATE ledger.events SET recorded_at = recorded_at + interval '30 days'"
            " WHERE account_id = $1 AND version BETWEEN $2 AND $3",
            ACCOUNT,
            first,
            last,
        )
    await damaged.execute("""
        UPDATE ledger.snapshots AS snapshot SET earliest_at = (
            SELECT min(recorded_at) FROM ledger.events AS event WHERE event.account_id = snapshot.account_id
            AND event.version > snapshot.after_version AND event.version <= snapshot.version
        )
    """)
    rows = await damaged.fetch("SELECT version, recorded_at FROM ledger.events WHERE account_id = $1", ACCOUNT)
    for _, moment in rows:
        expected = max(version for version, at in rows if at <= moment)
        assert await last_version_until(damaged, ACCOUNT, moment) == expected
    assert await last_version_until(damaged, ACCOUNT, min(at for _, at in rows) - timedelta(seconds=1)) == 0


@pytest.mark.parametrize(
    "damage",
    [
        "state = replace(state::text, '\"monthly_used\":', '\"monthly_used\":1')::json",
        "state = '{}'",
        "hash = decode(repeat('00', 32), 'hex')",
        "earliest_at = earliest_at + interval '1 second'",
        "earliest_at = 'infinity'",
        "after_version = 33",
        "position = position + 1000000",
        "version = 48",
    ],
)
async def test_verify_names_a_snapshot_that_is_not_what_the_events_say_and_replay_puts_it_right(
    own_ledger: str, damaged: asyncpg.Connection, damage: str
) -> None:
    await make(own_ledger)
    before = await damaged.fetch(ALL)
    await damaged.execute(f"UPDATE ledger.snapshots SET {damage} WHERE account_id = $1 AND version = 60", ACCOUNT)
    found = await verify(own_ledger)
    assert isinstance(found, Broken)
    assert found.account_id == ACCOUNT
    assert "the snapshot of version" in found.reason
    replayed = await replay(own_ledger, Projection.ACCOUNTS)
    assert replayed.difference_count == replayed.repaired > 0
    assert isinstance(await verify(own_ledger), Verified)
    assert [row for row in await damaged.fetch(ALL) if row not in before] == []


async def test_a_snapshot_that_is_of_another_history_is_not_begun_with(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    await make(own_ledger)
    assert (await load_base(damaged, ACCOUNT, 65)).version == 60
    await damaged.execute("UPDATE ledger.snapshots SET hash = '' WHERE version = 60")
    assert not (await load_base(damaged, ACCOUNT, 65)).is_open
    await damaged.execute("UPDATE ledger.snapshots SET state = '[]' WHERE version = 40")
    assert not (await load_base(damaged, ACCOUNT, 59)).is_open


async def test_two_processes_killed_and_begun_anew_beside_traffic_make_what_one_makes(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    due = "SELECT count(*) FROM ledger.events WHERE version % $1 = 0"
    async with traffic(own_ledger):
        async with making(own_ledger), making(own_ledger):
            await eventually(lambda: damaged.fetchval("SELECT count(*) > 30 FROM ledger.snapshots"), 20)
            assert isinstance(await verify(own_ledger), Verified)
        # A process that was killed has stored some, and has not noted where it was.
        await damaged.execute("UPDATE ledger.snapshot_progress SET position = 0")
        await damaged.execute("DELETE FROM ledger.snapshots WHERE version > 60")
    await asyncio.gather(make(own_ledger), make(own_ledger))
    assert await damaged.fetchval("SELECT count(*) FROM ledger.snapshots") == await damaged.fetchval(due, EVERY)
    assert isinstance(await verify(own_ledger), Verified)
    assert (await replay(own_ledger, Projection.ALL)).difference_count == 0


async def test_snapshots_of_other_formats_are_left_to_their_versions_and_old_ones_go(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    await make(own_ledger)
    for other in (STATE_FORMAT - 1, STATE_FORMAT + 1):
        await damaged.execute(
            "INSERT INTO ledger.snapshots SELECT $1, account_id, version, after_version, position, earliest_at, hash,"
            " '{}' FROM ledger.snapshots WHERE format = $2",
            other,
            STATE_FORMAT,
        )
        await damaged.execute("INSERT INTO ledger.snapshot_progress VALUES ($1, 9)", other)
    assert (await load_base(damaged, ACCOUNT, 65)).version == 60
    assert isinstance(await verify(own_ledger), Verified)
    async with making(own_ledger):
        formats = "SELECT array_agg(DISTINCT format ORDER BY format) = $1 FROM ledger.snapshots"
        await eventually(lambda: damaged.fetchval(formats, [STATE_FORMAT, STATE_FORMAT + 1]), 10)
    assert await damaged.fetchval("SELECT count(*) FROM ledger.snapshot_progress") == 2


async def test_the_projector_passes_what_no_fold_can_take(own_ledger: str, damaged: asyncpg.Connection) -> None:
    # A history that lacks its first event.
    await damaged.execute("""
        INSERT INTO ledger.events (account_id, version, id, type, recorded_at, data, hash)
        SELECT 'long', number, gen_random_uuid(), type, recorded_at, data, hash
        FROM ledger.events, generate_series(2, 3100) AS number WHERE account_id = 'account-00003' AND version = 2
    """)
    async with projector_process(own_ledger):
        at_end = "SELECT position = (SELECT max(position) FROM ledger.events) FROM ledger.snapshot_progress"
        await eventually(lambda: damaged.fetchval(at_end), 20, message="the snapshots' turn is over")
    assert await damaged.fetchval("SELECT count(*) FROM ledger.snapshots") == 0


async def test_since_a_checkpoint_states_are_held_to_the_events_behind_their_snapshots(
    own_ledger: str, damaged: asyncpg.Connection, tmp_path: Path
) -> None:
    desk = CheckpointDesk(own_ledger, str(tmp_path / "checkpoints"))
    await desk.made()
    await make(own_ledger)
    async with calls(own_ledger) as made:
        await made.make(9)
    # Nothing of before a snapshot is read.
    await tamper(damaged, "UPDATE ledger.events SET data = 'x' WHERE version = 100 OR version = 7")
    sound = await desk.verify_since(states=True)
    assert isinstance(sound, VerifiedSince)
    assert "snapshots are believed" in sound.blind_to
    state = "replace(state::text, '\"monthly_used\":', '\"monthly_used\":1')::json"
    await damaged.execute(f"UPDATE ledger.accounts SET state = {state} WHERE account_id = $1", ACCOUNT)
    assert isinstance(await desk.verify_since(), VerifiedSince)
    found = await desk.verify_since(states=True)
    assert isinstance(found, Broken)
    assert (found.account_id, "monthly_used" in found.reason) == (ACCOUNT, True)
    operate = operate_on(own_ledger)
    assert (await operate("verify", environment=desk.environment, since="latest", states="1")).code == 1
    (await operate("verify", environment=desk.environment, states="1")).assert_refused(2)
