"""What a ledger learns of people as they call: written once, kept in no memory, and learned again in time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from contracts.profiles import Profile
from ledger.application import profiles as learning
from ledger.application.profiles import Profiles
from ledger.store.profiles import FORGOTTEN_FOR, store_profiles, store_tags

from tests.support.eventually import eventually

ANA = Profile(email="ana@example.com", name="Ana Souza", locale="pt-BR")


@pytest_asyncio.fixture
async def pool(migrated: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(migrated, min_size=1, max_size=2) as pool:
        yield pool


@contextlib.asynccontextmanager
async def _learning(pool: asyncpg.Pool) -> AsyncIterator[Profiles]:
    profiles = Profiles(pool)
    task = asyncio.create_task(profiles.run())
    try:
        yield profiles
    finally:
        task.cancel()


async def _name_of(pool: asyncpg.Pool, account_id: str) -> str | None:
    name: str | None = await pool.fetchval("SELECT name FROM ledger.profiles WHERE account_id = $1", account_id)
    return name


async def test_what_is_written_is_in_no_memory_and_is_learned_again_after_a_while(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _learning(pool) as profiles:
        profiles.learn("ana", ANA)
        await eventually(lambda: _name_of(pool, "ana"))
        assert "ana" in repr(vars(profiles))
        assert "Souza" not in repr(vars(profiles))
        await pool.execute("UPDATE ledger.profiles SET name = NULL WHERE account_id = 'ana'")
        profiles.learn("ana", ANA)
        profiles.learn("bia", Profile(name="Bia"))
        await eventually(lambda: _name_of(pool, "bia"))
        assert await _name_of(pool, "ana") is None, "it is taken to be stored"
        monkeypatch.setattr(learning, "KNOWN_SECONDS", -1.0)
        profiles.learn("ana", Profile(email="other@example.com"))
        profiles.learn("ana", ANA)
        assert await eventually(lambda: _name_of(pool, "ana")) == "Ana Souza"


async def test_what_waits_to_be_written_for_too_long_is_not(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen process may have learned it before its person was forgotten, and wake up long after."""
    assert FORGOTTEN_FOR.total_seconds() > learning.UNWRITTEN_SECONDS
    async with _learning(pool) as profiles:
        with monkeypatch.context() as frozen:
            frozen.setattr(learning, "UNWRITTEN_SECONDS", -1.0)
            profiles.learn("frozen", Profile(name="Frozen"))
            await eventually(lambda: not profiles._unwritten)
        profiles.learn("awake", Profile(name="Awake"))
        await eventually(lambda: _name_of(pool, "awake"))
        assert await _name_of(pool, "frozen") is None


async def test_what_is_learned_anew_writes_no_row_until_a_day_has_passed(pool: asyncpg.Pool) -> None:
    async with _learning(pool) as profiles:
        profiles.learn("daily", ANA)
        await eventually(lambda: _name_of(pool, "daily"))
    row = "SELECT xmin::text, updated_at FROM ledger.profiles WHERE account_id = 'daily'"
    before = await pool.fetchrow(row)
    async with _learning(pool) as profiles:
        profiles.learn("daily", ANA)
        profiles.learn("marker", Profile(name="Marker"))
        await eventually(lambda: _name_of(pool, "marker"))
        assert await pool.fetchrow(row) == before
        await pool.execute("UPDATE ledger.profiles SET updated_at = now() - interval '2 days'")
        stale = await pool.fetchrow(row)
    async with _learning(pool) as profiles:
        profiles.learn("daily", ANA)
        await eventually(lambda: _changed(pool, row, stale))


async def _changed(pool: asyncpg.Pool, row: str, before: object) -> bool:
    return await pool.fetchrow(row) != before


async def test_no_sample_outlasts_what_is_known_of_people(database: asyncpg.Connection) -> None:
    said = {f"sampled-{number}": Profile(email="s@example.com", name="Sampled", user_id="s") for number in range(50)}
    await store_profiles(database, said)
    await store_tags(database, {account: ["sampled"] for account in said})
    await database.execute("ANALYZE ledger.profiles")
    sampled = await database.fetch(
        "SELECT attname FROM pg_stats WHERE schemaname = 'ledger' AND tablename LIKE 'profiles%'"
        " AND most_common_vals::text ILIKE '%sampled%' OR most_common_elems::text ILIKE '%sampled%'"
    )
    assert [row[0] for row in sampled if row[0] != "account_id"] == []
