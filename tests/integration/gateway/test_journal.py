"""Usage survives the process, the disk's and the broker's troubles, and is published once for each call."""

import asyncio
import contextlib
import json
import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from chassis.core_nats.client import CoreNats
from chassis.provisioning import provision
from contracts.subjects import USAGE_STREAM
from contracts.topology import STREAMS
from contracts.usage import Outcome
from gateway.journal.journal import Journal
from gateway.journal.position import PositionFile
from gateway.messaging import drainer as drainer_module
from local_run.servers.nats_server import running_nats

from tests.integration.gateway.gateway_process import GatewayProcess, free_port, running_gateway
from tests.integration.gateway.raw_http import Connection, Reply, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger
from tests.integration.gateway.scripted_upstream import Request, Responder, ScriptedUpstream, chunk
from tests.support.eventually import eventually
from tests.support.infrastructure import core_nats

PATH = "/v1/chat/completions"


async def stored_ids(nats_url: str) -> list[str]:
    """The reservation ids in the USAGE stream, in order."""
    client = await nats.connect(nats_url, connect_timeout=5)
    try:
        jetstream = client.jetstream()
        state = (await jetstream.stream_info(USAGE_STREAM)).state
        ids: list[str] = []
        for sequence in range(max(1, state.first_seq), state.last_seq + 1):
            message = await jetstream.get_msg(USAGE_STREAM, sequence)
            ids.append(json.loads(message.data or b"{}")["data"]["reservation_id"])
        return ids
    finally:
        await client.close()


async def recreate_usage_stream(nats_url: str) -> None:
    client = await nats.connect(nats_url, connect_timeout=5)
    try:
        await client.jetstream().delete_stream(USAGE_STREAM)
    finally:
        await client.close()
    await provision_streams(nats_url)


async def provision_streams(nats_url: str) -> None:
    async with core_nats(nats_url) as client:
        await provision(client, STREAMS, ())


def request_id(reply: Reply) -> str:
    assert reply.status == 200
    return reply.headers["x-solaris-request-id"]


async def test_every_call_is_in_the_stream_exactly_once_and_in_the_journals_order(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    await recreate_usage_stream(nats_url)
    async with running_gateway(tmp_path / "data", nats_url, upstream.url) as gateway:
        replies = await asyncio.gather(*(ask(gateway.port, chat()) for _ in range(100)))
        ids = {request_id(reply) for reply in replies}

        async def all_stored() -> bool:
            return sorted(await stored_ids(nats_url)) == sorted(ids)

        await eventually(all_stored)
        assert await stored_ids(nats_url) == journal_ids(gateway.journal)


async def test_full_batches_follow_each_other_without_a_pause(
    ledger: ScriptedLedger, nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a busy gateway would make usage faster than it publishes any, and holds would pile up."""
    monkeypatch.setattr(drainer_module, "BATCH_INTERVAL_SECONDS", 600.0)
    await recreate_usage_stream(nats_url)
    journal = Journal(tmp_path / "journal", keep_seconds=3600, keep_bytes=10**9)
    async with journal.opened(), CoreNats(nats_url, service="operator") as client:
        for number in range(3 * drainer_module.MAX_BATCH + 1):
            record = {"id": f"full-{number}", "subject": "ana", "data": {"reservation_id": f"full-{number}"}}
            journal.append(json.dumps(record).encode())
        assert await client.wait_connected(5)
        drainer = drainer_module.Drainer(journal, PositionFile(tmp_path / "position.json"), client)
        running = asyncio.create_task(drainer.run())
        try:
            await eventually(lambda: drainer.backlog_bytes() == 0, 20)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert len(await stored_ids(nats_url)) == 3 * drainer_module.MAX_BATCH + 1


async def test_call_that_ended_is_published_after_the_process_was_killed(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    url = f"nats://127.0.0.1:{free_port()}"
    async with running_gateway(tmp_path / "data", url, upstream.url, ready=False, ledger_failure="open") as gateway:
        identifier = request_id(await ask(gateway.port, chat()))
        await gateway.kill()
    assert identifier in "".join(journal_lines(gateway.journal))
    async with own_nats(tmp_path / "nats") as url, running_gateway(tmp_path / "data", url, upstream.url, ready=False):

        async def published() -> bool:
            return await stored_ids(url) == [identifier]

        await eventually(published)


async def test_killed_mid_stream_leaves_the_hold_to_the_ledger_and_loses_no_other_call(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    async def endless(request: Request, responder: Responder) -> None:
        if not request.json.get("stream"):
            await responder.reply(200, {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
            return
        await responder.start_stream()
        await responder.event(chunk("one"))
        await asyncio.wait_for(responder.closed.wait(), 20)

    upstream.handle = endless
    async with running_gateway(tmp_path / "data", nats_url, upstream.url) as gateway:
        connection = await Connection.open(gateway.port)
        await connection.send(chat(stream=True), path=PATH)
        open_id = (await connection.read_head()).headers["x-solaris-request-id"]
        await connection.read_chunk()
        ended_id = request_id(await ask(gateway.port, chat()))
        await gateway.kill()
        with (next(iter(sorted(gateway.journal.glob("*.jsonl"))))).open("ab") as torn:
            torn.write(b'{"id":"half a li')
    async with running_gateway(tmp_path / "data", nats_url, upstream.url) as gateway:
        after_id = request_id(await ask(gateway.port, chat()))
        await ledger.record_of(after_id)
        await ledger.record_of(ended_id)
    assert open_id not in {event.data.reservation_id for event in ledger.usage}


async def test_usage_of_an_outage_of_nats_is_published_when_it_is_back(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        async with own_nats(tmp_path / "nats", port) as url:
            gateway = await stack.enter_async_context(
                running_gateway(tmp_path / "data", url, upstream.url, ready=False, ledger_failure="open")
            )
            ids = {request_id(await ask(gateway.port, chat()))}
        replies = await asyncio.gather(*(ask(gateway.port, chat()) for _ in range(5)))
        ids |= {request_id(reply) for reply in replies}
        ready = await ask(gateway.port, path="/health/ready", method="GET")
        assert ready.status == 503
        assert "ledger" in ready.json["failing"]
        async with own_nats(tmp_path / "nats", port) as url:

            async def all_published() -> bool:
                return set(await stored_ids(url)) == ids

            await eventually(all_published, 15)


async def test_closed_gateway_without_nats_refuses_and_frees_every_id(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    url = f"nats://127.0.0.1:{free_port()}"
    async with running_gateway(tmp_path / "data", url, upstream.url, ready=False) as gateway:
        reply = await ask(gateway.port, chat())
        assert (reply.status, reply.error["code"]) == (503, "ledger_unavailable")
        (line,) = journal_lines(gateway.journal)
        data = json.loads(line)["data"]
        assert data["reservation_id"] == reply.headers["x-solaris-request-id"]
        assert data["outcome"] == Outcome.NOT_FORWARDED


async def test_lost_stream_is_filled_again_from_the_journal(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    async with running_gateway(tmp_path / "data", nats_url, upstream.url) as gateway:
        before = [request_id(await ask(gateway.port, chat())) for _ in range(5)]
        await ledger.record_of(before[-1])
        await recreate_usage_stream(nats_url)
        after = request_id(await ask(gateway.port, chat()))

        async def all_there() -> bool:
            return set(await stored_ids(nats_url)) == {*before, after}

        await eventually(all_there)
        again = request_id(await ask(gateway.port, chat()))

        async def once_each() -> bool:
            return sorted(await stored_ids(nats_url)) == sorted([*before, after, again])

        await eventually(once_each)


async def test_published_records_are_not_published_again_after_a_restart(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    await recreate_usage_stream(nats_url)
    async with running_gateway(tmp_path / "data", nats_url, upstream.url) as gateway:
        first = request_id(await ask(gateway.port, chat()))
        await ledger.record_of(first)
        gateway.terminate()
        assert await asyncio.wait_for(gateway.process.wait(), 8) == 0
    async with running_gateway(tmp_path / "data", nats_url, upstream.url) as gateway:
        second = request_id(await ask(gateway.port, chat()))
        await ledger.record_of(second)
    assert await stored_ids(nats_url) == [first, second]


async def test_second_gateway_on_the_same_journal_does_not_start(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str
) -> None:
    try:
        async with running_gateway(gateway.data_dir, nats_url, upstream.url):
            raise AssertionError("two gateways on one journal")
    except RuntimeError as error:
        assert "ended with 1" in str(error)
    assert "JournalInUseError" in gateway.log


async def test_full_disk_refuses_new_calls_clearly_and_keeps_what_has_ended(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the full disk: the journal can't grow beyond it."""
    async with running_gateway(tmp_path / "data", nats_url, upstream.url) as gateway:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
        ids = []
        while (reply := await ask(gateway.port, chat())).status == 200:
            ids.append(request_id(reply))
            assert len(ids) < 20
        assert (reply.status, reply.error["code"]) == (503, "ledger_unavailable")

        async def told() -> bool:
            ready = await ask(gateway.port, path="/health/ready", method="GET")
            return ready.status == 503 and list(ready.json["failing"]) == ["journal"]

        await eventually(told)

        no_limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, no_limit)
        for identifier in ids:
            await ledger.record_of(identifier)
        await gateway.wait_until_ready()
        assert (await ask(gateway.port, chat())).status == 200
        assert len(set(journal_ids(gateway.journal))) == len(journal_ids(gateway.journal)) == len(ids) + 1


@asynccontextmanager
async def own_nats(directory: Path, port: int | None = None) -> AsyncIterator[str]:
    """A NATS of this test's own with the streams; it keeps what it has over a second start."""
    async with running_nats(directory, port=port) as server:
        await provision_streams(server.url())
        yield server.url()


def journal_ids(journal: Path) -> list[str]:
    return [json.loads(line)["data"]["reservation_id"] for line in journal_lines(journal)]


def journal_lines(journal: Path) -> list[str]:
    return [line for path in sorted(journal.glob("*.jsonl")) for line in path.read_text().splitlines()]


async def test_a_stream_created_anew_is_known_though_others_have_written_more_to_it(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    await recreate_usage_stream(nats_url)
    async with running_gateway(tmp_path / "data", nats_url, upstream.url) as gateway:
        before = [request_id(await ask(gateway.port, chat())) for _ in range(3)]

        async def stored(ids: list[str]) -> bool:
            return set(ids) <= set(await stored_ids(nats_url))

        await eventually(lambda: stored(before))
        await recreate_usage_stream(nats_url)
        client = await nats.connect(nats_url, connect_timeout=5)
        for number in range(10):
            other = json.dumps({"data": {"reservation_id": f"another-gateway-{number}"}}).encode()
            await client.jetstream().publish("solaris.usage.recorded.other", other)
        await client.close()
        after = request_id(await ask(gateway.port, chat()))
        await eventually(lambda: stored([*before, after]))


async def test_without_a_stream_for_usage_a_gateway_is_not_ready(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    await recreate_usage_stream(nats_url)
    async with running_gateway(tmp_path / "data", nats_url, upstream.url) as gateway:
        client = await nats.connect(nats_url, connect_timeout=5)
        await client.jetstream().delete_stream(USAGE_STREAM)

        async def told() -> bool:
            ready = await ask(gateway.port, path="/health/ready", method="GET")
            return ready.status == 503 and "usage" in ready.json["failing"]

        await eventually(told)
        await client.close()
        await provision_streams(nats_url)
        await gateway.wait_until_ready()


async def test_the_journal_s_keeper_outlives_any_error_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal", keep_seconds=3600, keep_bytes=10**9)
    async with journal.opened():
        real = os.fdatasync

        def defect(file: int) -> None:
            raise RuntimeError("no OSError")

        monkeypatch.setattr("gateway.journal.journal.os.fdatasync", defect)
        journal.append(b"{}")
        await eventually(lambda: journal.failure is not None and "no OSError" in journal.failure)
        monkeypatch.setattr("gateway.journal.journal.os.fdatasync", real)
        await eventually(lambda: journal.failure is None)
