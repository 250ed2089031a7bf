"""Batches decided on what a process remembers: the database confirms them, or they are decided anew."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from contracts.errors import RefusalCode
from contracts.reservations import Granted, Refused
from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.domain.catalog import Catalog, Plan
from ledger.domain.commands import ReserveTokens
from ledger.domain.decision import Answer
from ledger.domain.policy import Policy
from ledger.migrate import migrate_ledger

POLICY = Policy(catalog=Catalog(version="1", plans={"basic": Plan(name="basic", monthly_tokens=10_000)}, models=()))
LOG_LOCK = 7205759403792793


@pytest_asyncio.fixture(scope="module")
async def migrated(database_url: str) -> str:
    await migrate_ledger(database_url)
    return database_url


@pytest_asyncio.fixture
async def processes(migrated: str) -> AsyncIterator[tuple[Executor, Executor]]:
    async with Executor(migrated, POLICY) as one, Executor(migrated, POLICY) as other:
        yield one, other


@pytest_asyncio.fixture
async def database(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(migrated)
    yield connection
    await connection.close()


async def reserve(executor: Executor, account_id: str, reservation_id: str, tokens: int = 1_000) -> Answer:
    command = ReserveTokens(
        account_id=account_id,
        reservation_id=reservation_id,
        model="gpt-4o",
        endpoint="/v1/chat/completions",
        prompt_tokens=tokens - 100,
        maximum_output_tokens=100,
        content_hash=str(tokens),
    )
    async with asyncio.timeout(10):
        return await executor.submit(command, Kind.RESERVE)


async def versions(database: asyncpg.Connection, account_id: str) -> list[int]:
    rows = await database.fetch("SELECT version FROM ledger.events WHERE account_id = $1 ORDER BY position", account_id)
    return [row[0] for row in rows]


async def test_an_account_that_another_process_moved_on_is_decided_anew(
    processes: tuple[Executor, Executor], database: asyncpg.Connection
) -> None:
    one, other = processes
    for number in range(5):  # each finds what it remembers outdated by the other
        for name, executor in (("one", one), ("other", other)):
            answer = await reserve(executor, "ana", f"{name}-{number}")
            assert isinstance(answer, Granted)
    assert isinstance(await reserve(one, "ana", "too-much"), Refused)
    stored = await versions(database, "ana")
    assert stored == list(range(1, len(stored) + 1))


@pytest.mark.parametrize(("repeated", "meanwhile"), [(1_000, 1_000), (3_000, 4_900)])
async def test_a_repetition_that_reaches_another_process_gets_its_first_answer(
    processes: tuple[Executor, Executor], database: asyncpg.Connection, repeated: int, meanwhile: int
) -> None:
    """By what the other process remembers it would make a second hold, or refuse where nothing is left for one."""
    one, other = processes
    account_id = f"bia-{repeated}"
    await reserve(one, account_id, "first", 2_000)
    answer = await reserve(one, account_id, "repeated", repeated)
    await reserve(other, account_id, "meanwhile", meanwhile)
    await reserve(other, account_id, "after", 100)
    assert isinstance(answer, Granted)
    assert await reserve(other, account_id, "repeated", repeated) == answer
    holds = await database.fetch("SELECT reservation_id FROM ledger.holds WHERE account_id = $1", account_id)
    assert sorted(row[0] for row in holds) == ["after", "first", "meanwhile", "repeated"]


async def test_a_refusal_waits_for_nobody_who_appends(
    processes: tuple[Executor, Executor], database: asyncpg.Connection
) -> None:
    one, _ = processes
    await reserve(one, "caio", "all", 10_000)
    assert isinstance(await reserve(one, "caio", "tells-once-that-it-is-exhausted"), Refused)
    async with database.transaction():
        await database.execute("SELECT pg_advisory_xact_lock($1)", LOG_LOCK)
        answer = await reserve(one, "caio", "refused")
    assert isinstance(answer, Refused)
    assert answer.code is RefusalCode.INSUFFICIENT_TOKENS
