"""The log goes on over the borders of its parts, guarded on all of them, and without a part that was made in time."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from chassis.migrations import migrate
from ledger import migrations
from ledger.application.log_parts import LogParts
from ledger.audit.differences import Projection
from ledger.audit.replay import replay
from ledger.audit.verify import Broken, Verified, verify
from ledger.store.log import events_after

from tests.support.infrastructure import Postgres
from tests.support.ledger_history import write_history
from tests.support.projecting import assert_usage_is_right, calls, caught_up, projecting, traffic

FIRST_END, SECOND_END, THIRD_END = 20_000_000, 30_000_000, 40_000_000
PARTS = "SELECT array_agg(name ORDER BY first_position) FROM ledger.event_partitions"
PLACES = "SELECT tableoid::regclass::text, count(*) FROM ledger.events GROUP BY 1 ORDER BY 1"


@pytest_asyncio.fixture
async def pool(own_ledger: str) -> AsyncIterator[asyncpg.Pool]:
    """With the rights of the ledger's role, and no others."""
    role = {"role": "solaris_ledger"}
    async with asyncpg.create_pool(own_ledger, min_size=1, max_size=3, server_settings=role) as opened:
        yield opened


async def go_to(owner: asyncpg.Connection, position: int) -> None:
    """The next event stands there."""
    await owner.execute("SELECT setval('ledger.events_position_seq', $1, false)", position)


async def places(owner: asyncpg.Connection) -> dict[str, int]:
    return {row[0].removeprefix("ledger."): row[1] for row in await owner.fetch(PLACES)}


async def assert_all_is_read(url: str, owner: asyncpg.Connection) -> None:
    assert isinstance(await verify(url), Verified)
    assert (await replay(url, Projection.ALL)).difference_count == 0
    positions = [row[0] for row in await events_after(owner, 0, 10_000)]
    assert positions == sorted(set(positions))
    assert len(positions) == await owner.fetchval("SELECT count(*) FROM ledger.events")


async def test_events_and_what_is_made_of_them_go_on_over_a_border(
    own_ledger: str, damaged: asyncpg.Connection, pool: asyncpg.Pool
) -> None:
    parts = LogParts(pool)
    await parts.look()
    assert await damaged.fetchval(PARTS) == ["events_0", "events_20000000"]
    await go_to(damaged, FIRST_END - 5)
    async with projecting(own_ledger), calls(own_ledger) as made:
        await made.make(5)
        await caught_up(damaged)
    assert await places(damaged) == {"events_0": 1_505 + 5, "events_20000000": 5}
    await assert_usage_is_right(damaged)
    await assert_all_is_read(own_ledger, damaged)
    # One process makes the next part, however many see that it is time.
    await asyncio.gather(*(LogParts(pool).look() for _ in range(3)))
    await parts.look()
    assert await damaged.fetchval(PARTS) == ["events_0", "events_20000000", "events_30000000", "events_40000000"]
    assert await parts.check() is None


async def test_events_for_which_no_part_was_made_are_kept_and_told_of(
    own_ledger: str, damaged: asyncpg.Connection, pool: asyncpg.Pool
) -> None:
    await go_to(damaged, SECOND_END + 10)
    parts = LogParts(pool)
    async with calls(own_ledger) as made:
        await made.make(3)
        assert (await places(damaged))["events_beyond"] == 6
        await parts.look()
        assert "events_beyond" in str(await parts.check())
        # Their range is left to them, and what comes behind it has a part again: one, as large as is ever needed, for
        # another would read all that stands beyond by then, and writers would wait.
        await parts.look()
        assert (await damaged.fetchval(PARTS))[-1] == "events_40000000"
        await go_to(damaged, THIRD_END)
        await made.make(2)
    assert (await places(damaged))["events_40000000"] == 4
    await assert_all_is_read(own_ledger, damaged)


async def test_where_much_stands_beyond_all_parts_nobody_waits_while_it_is_read(
    own_ledger: str, damaged: asyncpg.Connection, pool: asyncpg.Pool
) -> None:
    parts = LogParts(pool)
    async with calls(own_ledger) as made:
        for position in (SECOND_END + 10, SECOND_END + 1_000_000):
            await go_to(damaged, position)
            await made.make(1)
        before = await damaged.fetchval(PARTS)
        await parts.look()
        assert await damaged.fetchval(PARTS) == before
        assert "events_beyond" in str(await parts.check())
        await made.make(1)
    assert (await places(damaged))["events_beyond"] == 6
    await assert_all_is_read(own_ledger, damaged)


@pytest.mark.parametrize("part", ["events", "events_0", "events_20000000", "events_beyond"])
async def test_nobody_changes_a_part_and_verify_names_one_that_is_not_guarded(
    own_ledger: str, damaged: asyncpg.Connection, part: str
) -> None:
    for change in ("UPDATE ledger.{} SET version = 1", "DELETE FROM ledger.{}", "TRUNCATE ledger.{}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="never changed"):
            await damaged.execute(change.format(part))
    await damaged.execute(f"ALTER TABLE ledger.{part} DISABLE TRIGGER history_never_changes")
    found = await verify(own_ledger)
    assert isinstance(found, Broken)
    assert "trigger" in found.reason


async def test_the_ledgers_role_makes_parts_and_no_other_tables(damaged: asyncpg.Connection) -> None:
    await damaged.execute("SET ROLE solaris_ledger")
    for refused in (
        "SELECT ledger.make_part_of_events('mine', 'FOR VALUES FROM (9000000) TO (9000001)')",
        "CREATE TABLE ledger.mine ()",
        "ALTER TABLE ledger.events DETACH PARTITION ledger.events_0",
        "INSERT INTO ledger.events_0 (account_id) VALUES ('a')",
        "DELETE FROM ledger.event_partitions",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await damaged.execute(refused)
    assert await damaged.fetchval("SELECT ledger.make_next_part_of_events()") is None


async def test_a_ledger_in_use_is_partitioned_without_a_call_that_fails(
    postgres_server: Postgres, tmp_path: Path
) -> None:
    versions = Path(migrations.__path__[0]) / "versions"
    before = tmp_path / "migrations"
    (before / "versions").mkdir(parents=True)
    (first,) = versions.glob("*_bound_of_events.py")
    for file in versions.glob("*.py"):
        if file.name < first.name:
            shutil.copy(file, before / "versions")
    url = await postgres_server.create_database("before_partitions")
    await migrate(url, "ledger", folder=before)
    await write_history(url, accounts=9, events=600)
    owner = await asyncpg.connect(url)
    try:
        await owner.execute("DROP ROLE IF EXISTS auditor_of_parts; CREATE ROLE auditor_of_parts")
        await owner.execute("GRANT SELECT ON ledger.events TO auditor_of_parts")
        async with traffic(url) as made:
            await made.make(5)
            applied = await migrate(url, "ledger")
            await made.make(5)
        assert len(applied) >= 3
        assert await migrate(url, "ledger") == []
        assert set(await places(owner)) == {"events_0"}
        await assert_all_is_read(url, owner)
        rights = "SELECT has_table_privilege($1, 'ledger.events', $2)"
        assert await owner.fetchval(rights, "auditor_of_parts", "SELECT")
        assert [await owner.fetchval(rights, "solaris_ledger", each) for each in ("INSERT", "UPDATE")] == [True, False]
        await owner.execute("DROP OWNED BY auditor_of_parts; DROP ROLE auditor_of_parts")
    finally:
        await owner.close()
        await postgres_server.drop_database("before_partitions")
