"""A ledger that was off for weeks serves at once; what only the right time may end waits until that is sure."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

import asyncpg
import nats
import pytest_asyncio
from chassis.core_nats.client import CoreNats
from contracts.reservations import Granted
from gateway.messaging.reservations import Reserver
from ledger.application.database_clock import DatabaseClock
from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.application.sweeper import Sweeper
from ledger.domain.catalog import Catalog, Plan
from ledger.domain.policy import Policy
from local_run.ports import any_free

from tests.integration.ledger.conftest import Conversation, LedgerProcess
from tests.support.eventually import eventually
from tests.support.ledger_commands import reserve_tokens

POLICY = Policy(catalog=Catalog(version="1", plans={"basic": Plan(name="basic", monthly_tokens=10_000)}, models=()))
REST = timedelta(days=40)

type SweeperOf = Callable[[Executor], Sweeper]


@pytest_asyncio.fixture(scope="module", autouse=True)
async def rested(migrated: str) -> None:
    """The log's last event is a hold of weeks ago, whose usage never came."""
    connection = await asyncpg.connect(migrated)
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    await connection.close()
    async with Executor(migrated, POLICY) as past:
        past.clock.observe(now - REST)
        assert isinstance(await past.submit(reserve_tokens("rested", "r-old"), Kind.RESERVE), Granted)


@pytest_asyncio.fixture
async def started(migrated: str, nats_url: str) -> AsyncIterator[LedgerProcess]:
    client = await nats.connect(nats_url)
    process = LedgerProcess(
        {
            "SOLARIS_DATABASE_URL": migrated,
            "SOLARIS_NATS_URL": nats_url,
            "SOLARIS_LEDGER_PORT": str(any_free()),
            "SOLARIS_SWEEP_SECONDS": "0.1",
        },
        client,
    )
    await process.start()
    yield process
    await process.stop()
    await client.close()


async def state_of(database: asyncpg.Connection, reservation_id: str) -> str:
    return str(await database.fetchval("SELECT state FROM ledger.holds WHERE reservation_id = $1", reservation_id))


async def cycles_started(database: asyncpg.Connection, account_id: str) -> int:
    query = "SELECT count(*) FROM ledger.events WHERE account_id = $1 AND type LIKE '%cycle_started%'"
    return int(await database.fetchval(query, account_id))


async def test_ledger_and_gateway_are_ready_at_once_and_say_that_the_time_is_doubted(
    started: LedgerProcess, database: asyncpg.Connection, nats_url: str
) -> None:
    pool = asyncpg.create_pool(started.environment["SOLARIS_DATABASE_URL"], min_size=1, max_size=1)
    async with pool, CoreNats(nats_url, service="gateway") as core:
        reserver = Reserver(core, deadline_seconds=3, attempt_seconds=1)
        await eventually(lambda: core.is_connected)
        assert await reserver.why_not_ready() is None
        answer = await Conversation(started.client, pool).reserve("rested", reservation_id="r-now")
        assert answer.granted is not None
        assert answer.granted.expires_in_seconds == 900

        async def noted() -> bool:
            ready = json.loads(await started.fetch("/health/ready"))
            return ready["status"] == "ready" and "is not believed yet" in ready["notes"]["clock"]

        await eventually(noted)

        async def swept() -> bool:
            return await started.metric("solaris_ledger_oldest_overdue_hold_seconds") > 0

        await eventually(swept)
        assert [await state_of(database, each) for each in ("r-old", "r-now")] == ["open", "open"]
        assert await cycles_started(database, "rested") == 0
        assert await reserver.why_not_ready() is None


@pytest_asyncio.fixture
async def sweeper_of(migrated: str) -> AsyncIterator[SweeperOf]:
    """Makes sweepers for which all usage is decided."""
    pool = await asyncpg.create_pool(migrated, min_size=1, max_size=2)

    def made(executor: Executor) -> Sweeper:
        async def passed() -> datetime | None:
            return executor.clock.hold_time()

        return Sweeper(pool, executor, passed, hold_ttl=POLICY.hold_ttl)

    yield made
    pool.terminate()


async def test_a_hold_granted_in_doubt_outlives_it_and_what_ended_before_the_rest_is_ended_then(
    migrated: str, database: asyncpg.Connection, sweeper_of: SweeperOf
) -> None:
    async with Executor(migrated, POLICY, clock=DatabaseClock(confirm_seconds=3600)) as doubting:
        answer = await doubting.submit(reserve_tokens("rested", "r-doubt"), Kind.RESERVE)
        assert isinstance(answer, Granted)
        assert answer.expires_in_seconds == 900
        await sweeper_of(doubting).sweep()
        assert doubting.clock.jump_seconds > 0
        assert [await state_of(database, each) for each in ("r-old", "r-doubt")] == ["open", "open"]
        assert await cycles_started(database, "rested") == 0
    async with Executor(migrated, POLICY, clock=DatabaseClock(confirm_seconds=0)) as sure:
        sweeper = sweeper_of(sure)
        for _ in range(3):
            await sweeper.sweep()
        assert sure.clock.jump_seconds == 0
        assert [await state_of(database, each) for each in ("r-old", "r-doubt")] == ["expired", "open"]
        assert await cycles_started(database, "rested") > 0


async def test_two_ledgers_of_which_one_still_doubts_neither_end_a_call_s_hold_nor_refuse_the_next_call(
    migrated: str, database: asyncpg.Connection, sweeper_of: SweeperOf
) -> None:
    """The one decides at the log's time until the other has written at the right one; then nothing runs backwards."""
    now: datetime = await database.fetchval("SELECT clock_timestamp()")
    async with Executor(migrated, POLICY) as past:
        past.clock.observe(now - REST)
        assert isinstance(await past.submit(reserve_tokens("shared", "shared-old"), Kind.RESERVE), Granted)
    doubting_clock, sure_clock = DatabaseClock(confirm_seconds=3600), DatabaseClock(confirm_seconds=0)
    doubting_clock.observe(now, now - REST)
    async with (
        Executor(migrated, POLICY, clock=doubting_clock) as doubting,
        Executor(migrated, POLICY, clock=sure_clock) as sure,
    ):
        first = await doubting.submit(reserve_tokens("shared", "shared-doubt"), Kind.RESERVE)
        assert isinstance(first, Granted)
        assert await cycles_started(database, "shared") == 0
        sweeper = sweeper_of(sure)
        for _ in range(3):
            await sweeper.sweep()
        assert await cycles_started(database, "shared") > 0
        second = await doubting.submit(reserve_tokens("shared", "shared-after"), Kind.RESERVE)
        assert isinstance(second, Granted)
        assert (first.expires_in_seconds, second.expires_in_seconds) == (900, 900)
        for each in (sweeper_of(doubting), sweeper):
            await each.sweep()
        reservations = ("shared-old", "shared-doubt", "shared-after")
        assert [await state_of(database, each) for each in reservations] == ["expired", "open", "open"]
        assert doubting.clock.jump_seconds > 0
        assert sure.clock.jump_seconds == 0
