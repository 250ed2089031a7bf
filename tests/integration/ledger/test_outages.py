"""Streams deleted, Postgres away: nothing is lost and nobody restarts anything by hand."""

import asyncio
import json
import os
import sys
import urllib.error
from functools import partial
from pathlib import Path

from chassis.migrations import migrate
from contracts import subjects
from contracts.errors import RefusalCode
from local_run.ports import any_free
from local_run.servers.nats_server import running_nats
from local_run.servers.postgres import running_postgres
from nats.aio.client import Client

from tests.integration.ledger.conftest import Conversation, LedgerProcess
from tests.support.eventually import eventually


async def test_deleted_streams_come_back_and_settlement_goes_on(gateway: Conversation) -> None:
    await gateway.reserve("streams", reservation_id="r-1")
    await gateway.record("streams", "r-1", prompt=5, completion=5)
    await gateway.settled("streams", 10)
    jetstream = gateway.client.jetstream()
    for stream in (subjects.USAGE_STREAM, subjects.LEDGER_STREAM):
        await jetstream.delete_stream(stream)
    await gateway.reserve("streams", reservation_id="r-2")

    async def recorded() -> bool:
        await gateway.record("streams", "r-2", prompt=3, completion=0, message_id="usage-r-2")
        return True

    async def accepted() -> bool:
        try:
            return await recorded()
        except Exception:
            return False

    await eventually(accepted, 20)
    await gateway.settled("streams", 13)

    async def relayed() -> bool:
        return (await jetstream.stream_info(subjects.LEDGER_STREAM)).state.messages > 0

    await eventually(relayed, 10)


async def test_connections_cut_under_load_are_made_anew(gateway: Conversation, ledger: LedgerProcess) -> None:
    stop = asyncio.Event()
    counted: list[str] = []

    async def caller(number: int) -> None:
        sequence = 0
        while not stop.is_set():
            reservation_id = f"r-cut-{number}-{sequence}"
            sequence += 1
            answer = await ask_until_answered(reservation_id)
            assert answer.granted is not None
            await gateway.record("cut", reservation_id, prompt=1, completion=1)
            counted.append(reservation_id)

    async def ask_until_answered(reservation_id: str):  # type: ignore[no-untyped-def]
        for _ in range(50):
            answer = await gateway.reserve("cut", reservation_id=reservation_id)
            if answer.refused is None or answer.refused.code not in {
                RefusalCode.LEDGER_UNAVAILABLE,
                RefusalCode.BUSY,
            }:
                return answer
            await asyncio.sleep(0.1)
        raise AssertionError("no answer")

    def counted_above(count: int) -> bool:
        return len(counted) > count

    callers = [asyncio.create_task(caller(number)) for number in range(8)]
    for _ in range(5):
        before = len(counted)
        await eventually(partial(counted_above, before + 30), 20)
        await gateway.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ledger%'"
        )
    stop.set()
    await asyncio.gather(*callers)
    balance = await gateway.settled("cut", 2 * len(counted))
    assert balance.debt == 0
    assert ledger.process is not None
    assert ledger.process.returncode is None


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_two_ledgers_share_the_work_without_counting_twice(gateway: Conversation, ledger: LedgerProcess) -> None:
    port = any_free()
    second = LedgerProcess({**ledger.environment, "SOLARIS_LEDGER_PORT": str(port)}, ledger.client)
    await second.start()
    await eventually(lambda: listens(port), 20)

    async def call(number: int) -> None:
        answer = await gateway.reserve(f"pair-{number % 3}", reservation_id=f"r-pair-{number}")
        assert answer.granted is not None
        await gateway.record(f"pair-{number % 3}", f"r-pair-{number}", prompt=2, completion=2)

    await asyncio.gather(*(call(number) for number in range(600)))
    for name in range(3):
        await gateway.settled(f"pair-{name}", 200 * 4)
    gaps = await gateway.database.fetchval(
        "SELECT count(*) FROM (SELECT max(version) - count(*) AS gap FROM ledger.events GROUP BY account_id) AS g "
        "WHERE gap <> 0"
    )
    assert gaps == 0
    assert await second.stop() == 0


async def started_early(database_url: str, nats_url: str) -> LedgerProcess:
    """A ledger whose servers may not be there yet."""
    environment = {
        "SOLARIS_DATABASE_URL": database_url,
        "SOLARIS_NATS_URL": nats_url,
        "SOLARIS_LEDGER_PORT": str(any_free()),
    }
    ledger = LedgerProcess(environment, Client())
    ledger.process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ledger", env={**os.environ, **environment}
    )
    return ledger


async def fails(ledger: LedgerProcess, parts: set[str]) -> bool:
    """Whether readiness names these parts, and no others."""
    try:
        await ledger.fetch("/health/ready")
    except urllib.error.HTTPError as answer:
        return set(json.load(answer)["failing"]) == parts
    except OSError:
        return False
    return not parts


async def test_a_ledger_that_starts_before_nats_says_so_and_serves_as_soon_as_it_is_there(
    migrated: str, tmp_path: Path
) -> None:
    port = any_free()
    async with running_nats(tmp_path / "nats", port=port) as server:
        url = server.url("ledger")
    ledger = await started_early(migrated, url)
    await eventually(lambda: fails(ledger, {"nats"}), 20)
    async with running_nats(tmp_path / "nats", port=port):
        await eventually(lambda: fails(ledger, set()), 20)
        assert await ledger.stop() == 0


async def test_a_ledger_that_starts_before_postgres_says_so_and_serves_as_soon_as_it_is_there(
    nats_url: str, tmp_path: Path
) -> None:
    port = any_free()
    async with running_postgres(tmp_path / "postgres", port=port) as server:
        url = server.url("postgres")
        await migrate(url, "ledger")
    ledger = await started_early(url, nats_url)
    await eventually(lambda: fails(ledger, {"postgres"}), 20)
    async with running_postgres(tmp_path / "postgres", port=port):
        await eventually(lambda: fails(ledger, set()), 20)
    await eventually(lambda: fails(ledger, {"postgres"}), 20)
    assert await ledger.stop() == 0
