"""A head that does not end: what becomes of its connection, and of the call that is answered on it meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import pytest_asyncio
from gateway.http import server
from gateway.http.app import GatewayApp

from tests.integration.gateway.gateway_process import free_port
from tests.integration.gateway.raw_http import Connection
from tests.support.eventually import eventually

HEAD_SECONDS = 0.3
REQUEST = b"GET / HTTP/1.1\r\nhost: g\r\n\r\n"
HALF_A_HEAD = b"GET / HTTP/1.1\r\nhost"


class WaitingApp:
    """Answers each call with its number once it is let go."""

    def __init__(self) -> None:
        self.calls = 0
        self.let_go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI's own messages
        self.calls += 1
        body = b"%d" % self.calls
        await self.let_go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def late_heads(monkeypatch: pytest.MonkeyPatch) -> list[server.GatewayProtocol]:
    """The connections whose head was found to be late, one entry each time."""
    found: list[server.GatewayProtocol] = []
    look = server.GatewayProtocol._head_is_late

    def look_and_tell(protocol: server.GatewayProtocol) -> None:
        found.append(protocol)
        look(protocol)

    monkeypatch.setattr(server, "HEAD_SECONDS", HEAD_SECONDS)
    monkeypatch.setattr(server.GatewayProtocol, "_head_is_late", look_and_tell)
    return found


@pytest.fixture
def app() -> WaitingApp:
    return WaitingApp()


@pytest_asyncio.fixture
async def connection(app: WaitingApp, late_heads: list[server.GatewayProtocol]) -> AsyncIterator[Connection]:
    port = free_port()
    asgi = cast(GatewayApp, app)
    async with server.serve_calls(asgi, "127.0.0.1", port, finish_seconds=1, max_connections=10):
        opened = await Connection.open(port)
        yield opened
        opened.leave()


@pytest.mark.parametrize("sent", [b"", HALF_A_HEAD], ids=["nothing", "half a head"])
async def test_a_connection_whose_head_does_not_end_is_closed(connection: Connection, sent: bytes) -> None:
    connection.writer.write(sent)
    async with asyncio.timeout(10):
        assert await connection.reader.read() == b""


async def test_the_next_calls_late_head_ends_its_connection_only_after_this_call_was_answered(
    app: WaitingApp, connection: Connection, late_heads: list[server.GatewayProtocol]
) -> None:
    connection.writer.write(REQUEST + HALF_A_HEAD)
    await eventually(lambda: app.calls == 1 and len(late_heads) >= 2)
    app.let_go.set()
    async with asyncio.timeout(10):
        reply = await connection.read_reply()
        assert (reply.status, reply.body) == (200, b"1")
        assert await connection.reader.read() == b""
    assert app.calls == 1


async def test_a_next_call_whose_head_came_late_but_whole_is_answered(
    app: WaitingApp, connection: Connection, late_heads: list[server.GatewayProtocol]
) -> None:
    connection.writer.write(REQUEST + HALF_A_HEAD)
    await eventually(lambda: app.calls == 1 and len(late_heads) >= 2)
    connection.writer.write(b": g\r\n\r\n")
    app.let_go.set()
    async with asyncio.timeout(10):
        assert [(await connection.read_reply()).body for _ in range(2)] == [b"1", b"2"]
