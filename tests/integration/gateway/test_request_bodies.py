"""Request bodies on their way in: what they may take of memory and of time."""

import asyncio
import json
import resource
from pathlib import Path

from tests.integration.gateway.gateway_process import running_gateway
from tests.integration.gateway.raw_http import Connection, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger
from tests.integration.gateway.scripted_upstream import (
    Request,
    Responder,
    ScriptedUpstream,
    chunk,
)
from tests.support.eventually import eventually


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


async def test_bodies_beyond_the_byte_budget_are_told_that_there_is_no_room(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    async with running_gateway(tmp_path / "data", nats_url, upstream.url, request_memory_bytes="1000000") as gateway:
        slow = await Connection.open(gateway.port)
        slow.writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer sk-solaris-dev\r\n"
            b"x-user-id: ana\r\ncontent-length: 900000\r\n\r\n"
        )
        await slow.writer.drain()
        large = chat("x" * 500_000)

        async def refused() -> bool:
            reply = await ask(gateway.port, large)
            return reply.status == 503 and reply.error["code"] == "overloaded"

        await eventually(refused)
        slow.leave()

        async def served() -> bool:
            return (await ask(gateway.port, large)).status == 200

        await eventually(served)
