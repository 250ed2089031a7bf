"""What a client may do to a connection, and what becomes of the call on it."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from contracts.usage import Outcome

from tests.integration.gateway.gateway_process import GatewayProcess, running_gateway
from tests.integration.gateway.raw_http import KEY, Connection, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger
from tests.integration.gateway.scripted_upstream import Request, Responder, ScriptedUpstream, chunk, completion
from tests.support.eventually import eventually

PATH = "/v1/chat/completions"
UNREAD_BYTES = 24_000_000
"""More than a connection's buffers take on both sides: who does not read lets the next answer wait."""


async def test_a_pipelined_call_is_not_taken_for_an_idle_connection(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    """Two calls sent at once; while the second is served, more connections come than there is room for."""
    second_waits = asyncio.Event()
    go_on = asyncio.Event()

    async def handle(request: Request, responder: Responder) -> None:
        if "second" in request.body.decode():
            second_waits.set()
            await go_on.wait()
        await responder.reply(200, completion())

    upstream.handle = handle
    async with running_gateway(tmp_path / "few", nats_url, upstream.url, descriptors="256") as gateway:
        connection = await Connection.open(gateway.port)
        await connection.send(chat("first"), path=PATH)
        await connection.send(chat("second"), path=PATH)
        assert (await connection.read_reply()).status == 200
        await second_waits.wait()
        silent = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(300)]
        try:
            go_on.set()
            assert (await connection.read_reply()).status == 200
        finally:
            for _, writer in silent:
                writer.close()


async def test_a_head_beyond_the_bound_is_refused_also_where_it_comes_whole(gateway: GatewayProcess) -> None:
    large = {f"x-padding-{number}": "a" * 4_000 for number in range(20)}
    reply = await ask(gateway.port, chat(), large)
    assert reply.status == 400
    assert reply.error["code"] == "invalid_request"
    just_right = {f"x-padding-{number}": "a" * 4_000 for number in range(15)}
    assert (await ask(gateway.port, chat(), just_right)).status == 200


async def test_an_offer_to_upgrade_is_passed_over_without_a_word(gateway: GatewayProcess) -> None:
    """As Java's client offers HTTP/2 with each call, and anybody may offer a web socket."""
    before = gateway.log
    for protocol in ("h2c", "websocket"):
        reply = await ask(gateway.port, chat(), {"connection": "upgrade", "upgrade": protocol})
        assert reply.status == 200
    assert "pgrade" not in gateway.log[len(before) :]


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
async def test_an_offer_that_the_parser_sees_is_passed_over_without_a_word(
    gateway: GatewayProcess, upstream: ScriptedUpstream, protocol: str
) -> None:
    """Only the first head of a read is rid of its offer before the parser sees it."""
    before = gateway.log
    head = f"GET /v1/models HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {KEY}\r\n"
    offer = f"connection: upgrade\r\nupgrade: {protocol}\r\nsec-websocket-version: 13\r\n"
    connection = await Connection.open(gateway.port)
    connection.writer.write(f"{head}\r\n{head}{offer}\r\n".encode())
    async with asyncio.timeout(15):
        assert [(await connection.read_reply()).status for _ in range(2)] == [200, 200]
    connection.leave()
    log = gateway.log[len(before) :]
    assert "pgrade" not in log
    assert "WebSocket" not in log


@pytest.mark.parametrize("key", ["sk-solaris-dev", "sk-nobody"])
@pytest.mark.parametrize("trailer", [b"t: x\r\n", b"x" * 4_096], ids=["many", "one without an end"])
async def test_what_comes_behind_a_body_is_bounded(gateway: GatewayProcess, key: str, trailer: bytes) -> None:
    connection = await Connection.open(gateway.port)
    head = f"POST {PATH} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\ntransfer-encoding: chunked\r\n\r\n"
    connection.writer.write(head.encode() + b"2\r\n{}\r\n0\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            connection.writer.write(trailer * (65_536 // len(trailer)))
            await connection.writer.drain()
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            while await connection.reader.read(65_536):
                pass
    connection.writer.close()


async def test_a_body_behind_an_offer_to_upgrade_is_served_or_refused_and_never_dropped(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    def request(text: str) -> bytes:
        body = json.dumps(chat(text)).encode()
        head = f"POST {PATH} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer sk-solaris-dev\r\nx-user-id: ana\r\n"
        return f"{head}connection: upgrade\r\nupgrade: h2c\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    split = await Connection.open(gateway.port)
    whole = request("split")
    at = whole.index(b"upgrade: h2c") + 3
    split.writer.write(whole[:at])
    await asyncio.sleep(0.2)
    split.writer.write(whole[at:])
    refused = await split.read_reply()
    assert refused.status == 400
    assert "offers another protocol" in refused.error["message"]
    second = await Connection.open(gateway.port)
    second.writer.write(request("first") + request("second"))
    statuses = [(await second.read_reply()).status]
    with contextlib.suppress(asyncio.IncompleteReadError):
        statuses.append((await second.read_reply()).status)
    assert statuses in ([200, 400], [400])


async def test_a_connection_that_is_to_be_closed_is_closed_behind_the_whole_answer(gateway: GatewayProcess) -> None:
    connection = await Connection.open(gateway.port)
    await connection.send(chat(), {"connection": "close"}, path=PATH)

    reply = await connection.read_reply()

    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert reply.json["choices"][0]["message"]["content"]
    assert await connection.reader.read() == b""


async def test_whole_answers_keep_their_order_and_length_for_a_client_that_reads_late(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """The first alone is more than the connection takes: the others are written when it has been read."""

    async def handle(request: Request, responder: Responder) -> None:
        text = request.json["messages"][0]["content"]
        await responder.reply(200, completion(text + "x" * 8_000_000))

    upstream.handle = handle
    connection = await Connection.open(gateway.port)
    for name in ("first", "second", "third"):
        await connection.send(chat(name), path=PATH)
    await asyncio.sleep(0.5)

    for name in ("first", "second", "third"):
        reply = await connection.read_reply()
        text = reply.json["choices"][0]["message"]["content"]
        assert (reply.status, text[: len(name)], len(text)) == (200, name, len(name) + 8_000_000)


async def test_leave_to_send_a_body_comes_before_the_answer_also_where_the_body_came_at_once(
    gateway: GatewayProcess,
) -> None:
    connection = await Connection.open(gateway.port)
    for body in (b"no JSON", json.dumps(chat()).encode()):
        await connection.send(body, {"expect": "100-continue"}, path=PATH)
    heads = [await connection.read_reply() for _ in range(4)]
    assert [reply.status for reply in heads] == [100, 400, 100, 200]


async def test_a_status_that_does_not_exist_is_answered_as_a_broken_answer(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    async def handle(request: Request, responder: Responder) -> None:
        await responder.reply(799, completion())

    upstream.handle = handle
    before = len(gateway.log)
    connection = await Connection.open(gateway.port)
    for _ in range(2):
        await connection.send(chat(), path=PATH)
        reply = await connection.read_reply()
        assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert "Exception" not in gateway.log[before:]


async def test_a_client_that_leaves_with_calls_waiting_behind_the_one_that_is_served_is_no_failure(
    gateway: GatewayProcess, upstream: ScriptedUpstream, ledger: ScriptedLedger
) -> None:
    second_left = asyncio.Event()

    async def handle(request: Request, responder: Responder) -> None:
        if "second" in request.body.decode():
            connection.leave()
            await responder.closed.wait()
            second_left.set()
        else:
            await responder.reply(200, completion())

    upstream.handle = handle
    before = len(gateway.log)
    connection = await Connection.open(gateway.port)
    for name in ("first", "second", "third"):
        await connection.send(chat(name), path=PATH)
    async with asyncio.timeout(15):
        await second_left.wait()
    second = ledger.reserves[1].reservation_id
    assert (await ledger.record_of(second)).outcome is Outcome.CLIENT_DISCONNECTED
    assert len(upstream.requests) == 2
    assert '"level": "error"' not in gateway.log[before:]


async def test_a_call_whose_time_is_over_while_the_answer_before_it_is_unread_is_told_so(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    """It is charged by then: whatever clients repeat would be charged again."""

    async def handle(request: Request, responder: Responder) -> None:
        await responder.reply(200, completion("x" * (UNREAD_BYTES if "first" in request.body.decode() else 1)))

    upstream.handle = handle
    async with running_gateway(tmp_path / "late", nats_url, upstream.url, request_seconds="1") as gateway:

        async def over() -> bool:
            shown = (await ask(gateway.port, path="/metrics", method="GET")).body.decode()
            return len(upstream.requests) == 2 and "solaris_gateway_open_calls 0.0" in shown

        connection = await Connection.open(gateway.port)
        await connection.send(chat("first"), path=PATH)
        await connection.send(chat("second"), path=PATH)
        await eventually(over, message="second call over")
        first, second = [await connection.read_reply() for _ in range(2)]
        assert (first.status, second.status, second.error["code"]) == (200, 406, "answer_cut")
        assert '"level": "error"' not in gateway.log


async def test_nothing_follows_the_refusal_of_what_is_no_request(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    """The first answer is unread: the second one waits, and would be taken for an answer to what was refused."""

    async def handle(request: Request, responder: Responder) -> None:
        await responder.reply(200, completion("x" * (UNREAD_BYTES if "first" in request.body.decode() else 1)))

    upstream.handle = handle
    connection = await Connection.open(gateway.port)
    await connection.send(chat("first"), path=PATH)
    await connection.send(chat("second"), path=PATH)
    await eventually(lambda: len(upstream.requests) == 2, message="second call forwarded")
    before = len(gateway.log)
    connection.writer.write(b"no request\r\n\r\n")
    await eventually(lambda: "Invalid HTTP request" in gateway.log[before:], message="garbage read")
    assert [(await connection.read_reply()).status for _ in range(2)] == [200, 400]
    assert await connection.reader.read() == b""


async def test_garbage_behind_a_call_whose_answer_streams_ends_the_stream_and_adds_nothing(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    async def handle(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event(chunk("Hello"))
        await responder.closed.wait()

    upstream.handle = handle
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True), path=PATH)
    await connection.read_head()
    connection.writer.write(b"no request\r\n\r\n")
    async with asyncio.timeout(15):
        assert b"HTTP/1.1" not in await connection.reader.read()
