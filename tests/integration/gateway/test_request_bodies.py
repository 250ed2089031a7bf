"""Request bodies on their way in: what they may take of memory and of time."""

import asyncio
import json
import resource
from dataclasses import dataclass
from pathlib import Path

import pytest
from gateway.domain.body_memory import limit_with_room_for, most_memory_of

from tests.integration.gateway.gateway_process import GatewayProcess, running_gateway
from tests.integration.gateway.raw_http import Connection, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger
from tests.integration.gateway.scripted_upstream import (
    Request,
    Responder,
    ScriptedUpstream,
    chunk,
)
from tests.support.eventually import eventually

MIB = 2**20


async def test_a_picture_is_gone_from_memory_while_its_answer_comes(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    go_on = asyncio.Event()

    async def slow(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event(chunk("first"))
        await go_on.wait()
        await responder.end_stream()

    upstream.handle = slow
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 8 * 2**20}}
    body = json.dumps(chat(stream=True) | {"messages": [{"role": "user", "content": [picture]}]}).encode()
    async with running_gateway(tmp_path / "data", nats_url, upstream.url) as gateway:
        connections = []

        async def open_stream() -> None:
            connection = await Connection.open(gateway.port)
            await connection.send(body, path="/v1/chat/completions")
            await connection.read_head()
            assert b"first" in await asyncio.wait_for(connection.read_chunk(), 10)
            connections.append(connection)

        def resident_bytes() -> int:
            pages = Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]
            return int(pages) * int(resource.getpagesize())

        await open_stream()
        before = resident_bytes()
        for _ in range(20):
            await open_stream()
        assert resident_bytes() - before < 20 * 64 * 1024 + 8 * 2**20, "one body's worth, which the allocator may keep"
        go_on.set()
        for connection in connections:
            connection.leave()


async def announce(gateway: GatewayProcess, content_length: int) -> Connection:
    """A call whose body is yet to come."""
    connection = await Connection.open(gateway.port)
    connection.writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer sk-solaris-dev\r\n"
        b"x-user-id: ana\r\ncontent-length: %d\r\n\r\n" % content_length
    )
    await connection.writer.drain()
    return connection


async def held_bytes(gateway: GatewayProcess) -> float:
    metrics = await ask(gateway.port, path="/metrics", method="GET")
    (line,) = [line for line in metrics.body.decode().splitlines() if line.startswith("solaris_gateway_request_bytes ")]
    return float(line.split()[1])


async def test_uploads_that_trickle_keep_nobody_from_chatting_or_uploading(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    trickling = [await announce(gateway, size) for size in [20 * MIB] * 20 + [MIB] * 20]
    for connection in trickling:
        connection.writer.write(b'{"model": "gpt-4o", "messages": ')

    async def all_arrived() -> bool:
        return await held_bytes(gateway) >= 40 * 32

    await eventually(all_arrived)
    replies = await asyncio.gather(*[ask(gateway.port, chat("x" * 4_000 * number)) for number in range(50)])
    assert {reply.status for reply in replies} == {200}
    assert (await ask(gateway.port, chat("x" * 10 * MIB))).status == 200
    for connection in trickling:
        connection.leave()


async def test_a_large_body_that_has_all_memory_leaves_small_ones_their_room(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    least = limit_with_room_for(most_memory_of(MIB))
    async with running_gateway(
        tmp_path / "data", nats_url, upstream.url, max_body_bytes=str(MIB), request_memory_bytes=str(least)
    ) as gateway:
        filling = await announce(gateway, MIB)  # the memory is for one such body
        filling.writer.write(b'{"a": "' + b"x" * (MIB - 8))
        await filling.writer.drain()

        async def full() -> bool:
            return await held_bytes(gateway) >= MIB - 8

        await eventually(full)
        large = asyncio.create_task(ask(gateway.port, chat("x" * (MIB - 1_000))))
        replies = await asyncio.gather(*[ask(gateway.port, chat("x" * 200_000)) for _ in range(10)])
        assert {reply.status for reply in replies} == {200}
        refused = await large
        assert (refused.status, refused.error["code"]) == (503, "overloaded")
        waiting = asyncio.create_task(ask(gateway.port, chat("x" * (MIB - 1_000))))
        filling.leave()
        assert (await waiting).status == 200

        async def given_back() -> bool:
            return await held_bytes(gateway) == 0

        await eventually(given_back)


async def test_equal_large_bodies_that_arrive_at_the_same_pace_are_all_served(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    body = json.dumps(chat("x" * (20 * MIB - 1_000))).encode()
    connections = [await announce(gateway, len(body)) for _ in range(12)]
    for start in range(0, len(body), MIB):
        for connection in connections:
            connection.writer.write(body[start : start + MIB])
        await asyncio.sleep(0)
    replies = await asyncio.gather(*[connection.read_reply() for connection in connections])
    assert [reply.status for reply in replies] == [200] * 12
    for connection in connections:
        connection.leave()


@pytest.mark.parametrize("enforcement", ["enforce", "off"])
async def test_calls_that_wait_for_their_answer_hold_no_more_than_is_kept_of_them(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path, enforcement: str
) -> None:
    answer = asyncio.Event()
    answer_now = upstream.handle

    async def think(request: Request, responder: Responder) -> None:
        await answer.wait()
        await answer_now(request, responder)

    upstream.handle = think
    code = 'print({"a": [1, 2], "b": "c"})\n' * 8_000
    body = json.dumps(chat(code)).encode()
    async with running_gateway(tmp_path / "data", nats_url, upstream.url, enforcement=enforcement) as gateway:
        calls = []
        for number in range(1, 11):
            calls.append(asyncio.create_task(ask(gateway.port, chat(code))))

            async def waits(count: int = number) -> bool:
                return len(upstream.requests) >= count

            await eventually(waits)
        assert 0 < await held_bytes(gateway) <= 10 * 2 * len(body)
        answer.set()
        assert {reply.status for reply in await asyncio.gather(*calls)} == {200}

        async def given_back() -> bool:
            return await held_bytes(gateway) == 0

        await eventually(given_back)


async def test_two_bodies_of_which_each_takes_nearly_all_memory_are_both_served(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    text = "\\u00e9" * (20 * MIB // 6 - 300_000)
    body = json.dumps(chat("TEXT")).replace("TEXT", text + "," * 1_200_000).encode()
    connections = [await announce(gateway, len(body)) for _ in range(2)]
    for connection in connections:
        connection.writer.write(body)
    replies = await asyncio.gather(*[connection.read_reply() for connection in connections])
    assert [reply.status for reply in replies] == [200, 200]
    for connection in connections:
        connection.leave()


@dataclass(frozen=True, kw_only=True)
class SlowBody:
    """`piece` comes every 10 ms."""

    name: str
    piece: bytes
    patience_seconds: str = "0.5"
    bytes_per_second: str = "1000"
    seconds: str = "60"


SLOW_BODIES = [
    SlowBody(name="silent", piece=b""),
    SlowBody(name="trickling", piece=b"x", bytes_per_second="1000000"),
    SlowBody(name="endless", piece=b"x" * 1_000, seconds="0.5"),
]


@pytest.mark.parametrize("slow", SLOW_BODIES, ids=lambda slow: slow.name)
async def test_a_body_that_does_not_come_to_its_end_is_refused(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path, slow: SlowBody
) -> None:
    async with running_gateway(
        tmp_path / "data",
        nats_url,
        upstream.url,
        body_patience_seconds=slow.patience_seconds,
        body_bytes_per_second=slow.bytes_per_second,
        body_seconds=slow.seconds,
    ) as gateway:
        connection = await announce(gateway, 20 * MIB)

        async def trickle() -> None:
            while True:
                connection.writer.write(slow.piece)
                await asyncio.sleep(0.01)

        trickling = asyncio.create_task(trickle())
        try:
            async with asyncio.timeout(15):
                reply = await connection.read_reply()
        finally:
            trickling.cancel()
            connection.leave()
        assert (reply.status, reply.error["code"]) == (400, "invalid_request")
        assert "the body came too slowly" in reply.error["message"]
        assert upstream.requests == []
        assert ledger.reserves == []


async def test_a_body_that_comes_slowly_but_steadily_is_served(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    async with running_gateway(
        tmp_path / "data", nats_url, upstream.url, body_patience_seconds="2", body_bytes_per_second="1000"
    ) as gateway:
        body = json.dumps(chat("x" * 20_000)).encode()
        connection = await announce(gateway, len(body))
        for start in range(0, len(body), 600):
            connection.writer.write(body[start : start + 600])
            await asyncio.sleep(0.1)  # more than the patience in all
        assert (await connection.read_reply()).status == 200
        connection.leave()
