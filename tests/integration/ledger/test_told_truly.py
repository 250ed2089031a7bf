"""What readiness and metrics say while something is wrong: never that all is well."""

import asyncio
import urllib.request

import asyncpg
from contracts import subjects
from contracts.reads import ReadyAnswer
from ledger.store.read_path import is_writable
from nats.js.api import DiscardPolicy
from pydantic import TypeAdapter

from tests.integration.ledger.conftest import Conversation, LedgerProcess
from tests.support.eventually import eventually

LOG_LOCK = 7205759403792793
"""What every commit takes before it appends to the log."""


async def ready(gateway: Conversation) -> ReadyAnswer:
    answer = await gateway.client.request(subjects.READ_READY, b"", timeout=5)
    return TypeAdapter(ReadyAnswer).validate_json(answer.data)


async def metric(ledger: LedgerProcess, name: str) -> float:
    url = f"http://127.0.0.1:{ledger.environment['SOLARIS_LEDGER_PORT']}/metrics"

    def scrape() -> str:
        with urllib.request.urlopen(url, timeout=5) as scraped:
            return str(scraped.read().decode())

    lines = (await asyncio.to_thread(scrape)).splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).rpartition(" ")[2])


async def test_a_ledger_whose_commits_are_stuck_is_not_ready(
    gateway: Conversation, database: asyncpg.Connection
) -> None:
    async with database.transaction():
        await database.execute("SELECT pg_advisory_xact_lock($1)", LOG_LOCK)
        stuck = asyncio.create_task(gateway.reserve("stuck", reservation_id="r-stuck"))

        async def told() -> bool:
            answer = await ready(gateway)
            return not answer.ready and "no commit" in (answer.error or "")

        await eventually(told, 20)
    await stuck

    async def well() -> bool:
        return (await ready(gateway)).ready

    await eventually(well, 20)


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
            lag = await metric(ledger, "solaris_ledger_relay_lag_events")
            return lag > 0 and await metric(ledger, "solaris_ledger_relay_errors_total") > 0

        await eventually(told, 20)
    finally:
        await jetstream.update_stream(made)

    async def caught_up() -> bool:
        return await metric(ledger, "solaris_ledger_relay_lag_events") == 0

    await eventually(caught_up, 20)
    assert await metric(ledger, "solaris_ledger_relay_leader") == 1
