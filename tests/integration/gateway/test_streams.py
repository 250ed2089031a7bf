"""Streams as the client gets them: every byte, as it comes, and comments where nothing comes."""

import asyncio
import json

import pytest
from contracts.usage import Outcome, UsageSource

from tests.integration.gateway.answer_case import JSON, STREAM, USAGE_30, data, spoken, tokens
from tests.integration.gateway.gateway_process import GatewayProcess
from tests.integration.gateway.raw_http import Connection, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger
from tests.integration.gateway.scripted_upstream import (
    METERED,
    USAGE,
    Request,
    Responder,
    ScriptedUpstream,
    chunk,
    completion,
    usage_chunk,
)
from tests.support.eventually import eventually


async def test_stream_is_relayed_and_the_usage_that_nobody_asked_for_is_hidden(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    reply = await ask(gateway.port, chat(stream=True))
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.events == [chunk("Hello"), chunk(" there"), chunk(None, "stop"), "[DONE]"]
    assert upstream.requests[0].json["stream_options"] == {"include_usage": True}
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.usage, record.usage_source, record.outcome) == (METERED, UsageSource.PROVIDER, Outcome.COMPLETED)
    assert record.first_token_ms is not None


async def test_usage_chunk_in_litellms_form_is_hidden_too(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def litellm(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event(chunk("Hi"))
        await responder.event(usage_chunk(USAGE | {"cost": 0.1}, [{"index": 0, "delta": {}}]))
        await responder.end_stream()

    upstream.handle = litellm
    reply = await ask(gateway.port, chat(stream=True))
    assert reply.events == [chunk("Hi"), "[DONE]"]
    assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).usage == METERED


async def test_usage_chunk_that_the_client_asked_for_reaches_it(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    reply = await ask(gateway.port, chat(stream=True, stream_options={"include_usage": True}))
    assert usage_chunk() in [event | {"choices": []} for event in reply.events if event != "[DONE]"]
    assert len(reply.events) == 5


async def test_stream_bytes_are_relayed_unchanged_however_they_are_split(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    visible = b": a comment\r\n\r\ndata: " + json.dumps(chunk("Olá")).encode() + b"\r\n\r\nevent: x\ndata: {}\n\n"
    hidden = b"data: " + json.dumps(usage_chunk()).encode() + b"\n\n"
    whole = visible + hidden + b"data: [DONE]\n\n"

    async def in_pieces(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        for at in range(0, len(whole), 7):
            await responder.raw(whole[at : at + 7])
            await asyncio.sleep(0)
        await responder.end_stream(done=False)

    upstream.handle = in_pieces
    reply = await ask(gateway.port, chat(stream=True))
    assert reply.body == visible + b"data: [DONE]\n\n"
    assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).usage == METERED


async def test_slow_reader_holds_the_upstream_back_and_gets_every_byte(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    events = [b"data: " + json.dumps(chunk(f"{number} " + "x" * 20_000)).encode() + b"\n\n" for number in range(1_500)]
    sent = 0

    async def flood(request: Request, responder: Responder) -> None:
        nonlocal sent
        await responder.start_stream()
        for event in events:
            await responder.raw(event)
            sent += 1
        await responder.event(usage_chunk())
        await responder.end_stream()

    upstream.handle = flood
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True), path="/v1/chat/completions")
    await eventually(lambda: sent > 100)
    before = -1
    while sent != before:  # until nothing more is taken
        before = sent
        await asyncio.sleep(0.1)
    assert before < len(events)
    reply = await asyncio.wait_for(connection.read_reply(), 20)
    assert reply.body == b"".join(events) + b"data: [DONE]\n\n"
    assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).usage == METERED
    connection.leave()


async def test_first_chunk_arrives_before_the_upstream_has_finished(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    go_on = asyncio.Event()

    async def waits(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event(chunk("first"))
        await asyncio.wait_for(go_on.wait(), 10)
        await responder.end_stream()

    upstream.handle = waits
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True), path="/v1/chat/completions")
    await connection.read_head()
    assert b"first" in await asyncio.wait_for(connection.read_chunk(), 5)
    go_on.set()
    assert b"[DONE]" in await asyncio.wait_for(connection.read_chunk(), 5)
    connection.leave()


async def test_silent_stream_gets_comments_before_and_between_events(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    released = asyncio.Event()

    async def slow(request: Request, responder: Responder) -> None:
        await asyncio.wait_for(released.wait(), 10)
        await responder.start_stream()
        await responder.event(chunk("Hello"))
        await responder.event(usage_chunk())
        await responder.end_stream()

    upstream.handle = slow
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True), path="/v1/chat/completions")
    reply = await asyncio.wait_for(connection.read_head(), 5)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
    assert await connection.read_chunk() == b": ping\n\n"
    released.set()
    rest = b""
    while data := await connection.read_chunk():
        rest += data
    connection.leave()
    assert [json.loads(line[6:]) for line in rest.split(b"\n\n") if line.startswith(b"data: {")] == [chunk("Hello")]
    assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).usage == METERED


async def test_error_after_the_first_comment_is_told_inside_the_stream_and_costs_nothing(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    released = asyncio.Event()

    async def fails_late(request: Request, responder: Responder) -> None:
        await asyncio.wait_for(released.wait(), 10)
        await responder.reply(500, {"error": {"message": "boom", "type": "server_error", "code": "500"}})

    upstream.handle = fails_late
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True), path="/v1/chat/completions")
    head = await connection.read_head()
    assert await connection.read_chunk() == b": ping\n\n"
    released.set()
    rest = b""
    while data := await connection.read_chunk():
        rest += data
    connection.leave()
    assert b'"boom"' in rest
    record = await ledger.record_of(head.headers["x-solaris-request-id"])
    assert (record.outcome, record.usage_source) == (Outcome.UPSTREAM_ERROR, UsageSource.NONE)


async def test_five_hundred_streams_at_once(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    everyone_is_in = asyncio.Event()

    async def together(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event(chunk("Hello"))
        if len(upstream.requests) == 500:
            everyone_is_in.set()
        await asyncio.wait_for(everyone_is_in.wait(), 30)
        await responder.event(usage_chunk())
        await responder.end_stream()

    upstream.handle = together
    replies = await asyncio.gather(
        *(ask(gateway.port, chat(stream=True), {"x-user-id": f"u{n}"}, timeout_seconds=40) for n in range(500))
    )
    assert all(reply.status == 200 and reply.events[-1] == "[DONE]" for reply in replies)
    for reply in replies:
        assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).usage == METERED


async def test_text_beyond_ascii_is_relayed_whole_and_counted_when_it_comes_byte_by_byte(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    text = "Olá, 世界 😀"

    async def bytewise(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        said = json.dumps(chunk(text), ensure_ascii=False).encode()
        for byte in b"data: " + said + b"\n\n" + data(usage_chunk(USAGE_30)):
            await responder.raw(bytes([byte]))
        await responder.end_stream()

    upstream.handle = bytewise
    reply = await ask(gateway.port, chat(stream=True))
    assert reply.text == text
    assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).usage == tokens(20, 10)


@pytest.mark.parametrize("stream", [False, True])
async def test_interim_answers_and_trailers_are_passed_over(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, stream: bool
) -> None:
    body = spoken(usage_chunk(USAGE_30)) if stream else json.dumps(completion(usage=USAGE_30)).encode()

    async def wordy(request: Request, responder: Responder) -> None:
        kind = STREAM if stream else JSON
        responder.writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n")
        responder.writer.write(f"content-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        await responder.raw(body)
        responder.writer.write(b"0\r\nx-checksum: 1\r\n\r\n")
        await responder.writer.drain()

    upstream.handle = wordy
    for _ in range(2):  # on the same connection
        reply = await ask(gateway.port, chat(stream=stream))
        assert reply.status == 200
        assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).usage == tokens(20, 10)


async def test_whole_answer_of_25_megabytes_is_relayed_and_charged(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    answer = completion("word " * 5_000_000, usage=USAGE_30)

    async def long(request: Request, responder: Responder) -> None:
        await responder.reply(200, answer)

    upstream.handle = long
    reply = await ask(gateway.port, chat(), timeout_seconds=60)
    assert reply.json == answer
    assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).usage == tokens(20, 10)
