"""What readiness and metrics say while something is wrong: never that all is well."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest
from chassis import locks
from chassis.core_nats.client import CoreNats
from chassis.postgres import create_pool, opened
from chassis.requests import ask
from chassis.responder import Responder
from contracts import subjects
from contracts.reads import ReadyAnswer
from ledger.application.executor import Executor
from ledger.application.profiles import Profiles
from ledger.domain.catalog import Catalog, Plan
from ledger.domain.policy import Policy
from ledger.messaging.reads import Reads
from ledger.messaging.watermark import UsageWatermark
from ledger.store.read_path import is_writable
from nats.js.api import DiscardPolicy

from tests.integration.ledger.conftest import Conversation, LedgerProcess
from tests.support.eventually import eventually


async def ready(gateway: Conversation) -> ReadyAnswer:
    answer = await gateway.client.request(subjects.READ_READY, b"", timeout=5)
    return msgspec.json.decode(answer.data, type=ReadyAnswer)


async def test_a_ledger_whose_commits_are_stuck_is_not_ready(
    gateway: Conversation, database: asyncpg.Connection
) -> None:
    async with database.transaction():
        await database.execute("SELECT pg_advisory_xact_lock($1)", locks.APPEND)
        stuck = asyncio.create_task(gateway.reserve("stuck", reservation_id="r-stuck"))

        async def told() -> bool:
            answer = await ready(gateway)
            return not answer.ready and "no commit" in (answer.error or "")

        await eventually(told, 20)
    await stuck

    async def well() -> bool:
        return (await ready(gateway)).ready

    await eventually(well, 20)


async def test_a_ledger_whose_store_does_not_answer_says_so_and_what_time_it_believes(nats_url: str) -> None:
    policy = Policy(catalog=Catalog(version="1", plans={"basic": Plan(name="basic", monthly_tokens=1)}, models=()))
    pool = create_pool("postgresql://nobody@127.0.0.1:1/none", max_size=1, service="ledger")
    executor = Executor("postgresql://nobody@127.0.0.1:1/none", policy)
    believed = datetime.now(UTC) - timedelta(days=40)
    executor.clock.observe(believed)
    executor.clock.observe(believed + timedelta(days=40))
    reads = Reads(pool, policy, Profiles(pool), executor)
    async with opened(pool), CoreNats(nats_url, service="ledger") as core:
        assert await core.wait_connected(5)
        async with Responder(core, {"ready.*": reads.answers()[subjects.READ_READY]}, queue="ready"):
            answer = await ask(core, "ready.now", msgspec.json.Decoder(ReadyAnswer).decode, seconds=5)
    assert not answer.ready
    assert "database: ConnectionRefusedError" in (answer.error or "")
    assert answer.time is not None
    assert answer.time - believed < timedelta(minutes=1)
    assert answer.clock_doubt_seconds > 0


async def test_a_store_that_takes_no_writes_is_told_from_one_that_does(migrated: str) -> None:
    connection = await asyncpg.connect(migrated)
    assert await is_writable(connection)
    await connection.execute("SET default_transaction_read_only = on")
    assert not await is_writable(connection)
    await connection.close()


async def test_a_relay_that_is_stuck_does_not_look_idle(gateway: Conversation, ledger: LedgerProcess) -> None:
    jetstream = gateway.client.jetstream()
    made = (await jetstream.stream_info(subjects.LEDGER_STREAM)).config
    await jetstream.update_stream(made.evolve(max_bytes=1, discard=DiscardPolicy.NEW))
    try:
        await gateway.reserve("unpublished", reservation_id="r-unpublished")

        async def told() -> bool:
            lag = await ledger.metric("solaris_ledger_relay_lag_events")
            return lag > 0 and await ledger.metric("solaris_ledger_relay_errors_total") > 0

        await eventually(told, 20)
    finally:
        await jetstream.update_stream(made)

    async def caught_up() -> bool:
        return await ledger.metric("solaris_ledger_relay_lag_events") == 0

    await eventually(caught_up, 20)
    assert await ledger.metric("solaris_ledger_relay_leader") == 1


async def test_a_stream_of_other_settings_is_named_and_the_ledger_serves_on(
    gateway: Conversation, ledger: LedgerProcess
) -> None:
    jetstream = gateway.client.jetstream()

    async def notes() -> dict[str, str]:
        answer = json.loads(await ledger.fetch("/health/ready"))
        assert answer["status"] == "ready"
        return dict(answer.get("notes", {}))

    async def silent() -> bool:
        return await notes() == {}

    await eventually(silent)
    made = (await jetstream.stream_info(subjects.USAGE_STREAM)).config
    await jetstream.update_stream(made.evolve(max_bytes=1_048_576, duplicate_window=60))
    try:

        async def named() -> bool:
            told = (await notes()).get("streams", "")
            return "USAGE: max_bytes is 1048576, should be" in told and "USAGE: duplicate_window is 60" in told

        await eventually(named)
    finally:
        await jetstream.update_stream(made)
    await eventually(silent)


async def test_usage_counts_as_decided_up_to_the_database_s_time_however_far_our_own_is_ahead(
    gateway: Conversation, core: CoreNats
) -> None:
    """Holds end by the database's clock: usage that is recorded before their end must have been waited for."""
    of_database = datetime.now(UTC) - timedelta(seconds=5)
    watermark = UsageWatermark(core, lambda: of_database)

    async def passed() -> datetime | None:
        return await watermark.passed()

    assert await eventually(passed) == of_database
    assert await UsageWatermark(core, lambda: None).passed() is None


@pytest.mark.parametrize("waits_from", ["before", "after"])
async def test_no_usage_counts_as_decided_up_to_a_time_that_turned_out_to_be_ahead(
    gateway: Conversation, core: CoreNats, database: asyncpg.Connection, waits_from: str
) -> None:
    """What is waiting would else be overtaken by the end of its hold for as long as it waits."""
    times = [datetime.now(UTC) + timedelta(days=40)]
    watermark = UsageWatermark(core, lambda: times[-1])

    async def passed() -> datetime | None:
        return await watermark.passed()

    if waits_from == "after":
        assert await eventually(passed) == times[0]
    async with database.transaction():
        await database.execute("SELECT pg_advisory_xact_lock($1)", locks.APPEND)
        await gateway.record("waiting", f"r-{waits_from}", prompt=1)
        if waits_from == "before":
            assert await watermark.passed() is None
        times.append(datetime.now(UTC))
        assert await watermark.passed() is None
    assert await eventually(passed, 20) == times[-1]
