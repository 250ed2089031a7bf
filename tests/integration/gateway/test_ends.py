"""Every way in which a call can end leaves exactly one record."""

import asyncio
from pathlib import Path

import pytest
from contracts.errors import RefusalCode
from contracts.usage import Outcome, TokenUsage, UsageSource

from tests.integration.gateway.gateway_process import GatewayProcess, running_gateway
from tests.integration.gateway.raw_http import Connection, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger, grant, refuse
from tests.integration.gateway.scripted_upstream import (
    Request,
    Responder,
    ScriptedUpstream,
    chunk,
    completion,
    usage_chunk,
)
from tests.support.eventually import eventually

PATH = "/v1/chat/completions"


class Stuck:
    """An upstream that says some words and then nothing, until the gateway closes the connection."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.reached = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, request: Request, responder: Responder) -> None:
        if self.words:
            await responder.start_stream()
            for word in self.words:
                await responder.event(chunk(word))
        self.reached.set()
        await asyncio.wait_for(responder.closed.wait(), 20)
        self.left.set()


async def test_client_that_leaves_mid_stream_is_charged_for_what_was_produced(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    upstream.handle = stuck = Stuck("one", " two", " three")
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True), path=PATH)
    head = await connection.read_head()
    received = b""
    while received.count(b"data:") < 3:
        received += await connection.read_chunk()
    connection.leave()

    await asyncio.wait_for(stuck.left.wait(), 5)
    record = await ledger.record_of(head.headers["x-solaris-request-id"])
    assert (record.outcome, record.usage_source) == (Outcome.CLIENT_DISCONNECTED, UsageSource.ESTIMATED)
    assert record.usage == TokenUsage(prompt_tokens=record.estimated_prompt_tokens, completion_tokens=3)


async def test_client_that_leaves_before_the_first_byte_stops_the_upstream(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    upstream.handle = stuck = Stuck()
    connection = await Connection.open(gateway.port)
    await connection.send(chat(), path=PATH)
    await asyncio.wait_for(stuck.reached.wait(), 5)
    connection.leave()

    await asyncio.wait_for(stuck.left.wait(), 5)
    record = await ledger.only_record()
    assert (record.outcome, record.usage_source) == (Outcome.CLIENT_DISCONNECTED, UsageSource.ESTIMATED)
    assert record.usage.completion_tokens == 0


async def test_client_that_leaves_after_a_long_body_stops_the_upstream(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    upstream.handle = stuck = Stuck()
    connection = await Connection.open(gateway.port)
    await connection.send(chat("word " * 100_000), path=PATH)
    await asyncio.wait_for(stuck.reached.wait(), 10)
    connection.leave()

    await asyncio.wait_for(stuck.left.wait(), 5)
    assert (await ledger.only_record()).outcome == Outcome.CLIENT_DISCONNECTED


async def test_client_that_leaves_after_the_usage_is_charged_by_the_provider(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    told = asyncio.Event()

    async def usage_then_silence(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event(chunk("one"))
        await responder.event(usage_chunk())
        told.set()
        await asyncio.wait_for(responder.closed.wait(), 20)

    upstream.handle = usage_then_silence
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True, stream_options={"include_usage": True}), path=PATH)
    await connection.read_head()
    received = b""
    while b'"usage"' not in received:
        received += await connection.read_chunk()
    connection.leave()
    record = await ledger.only_record()
    assert (record.outcome, record.usage_source) == (Outcome.CLIENT_DISCONNECTED, UsageSource.PROVIDER)
    assert record.usage == TokenUsage(prompt_tokens=20, completion_tokens=9)


async def test_client_that_leaves_before_the_hold_is_not_forwarded(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = lambda _: None
    connection = await Connection.open(gateway.port)
    await connection.send(chat(), path=PATH)
    await eventually(lambda: ledger.reserves)
    connection.leave()
    record = await ledger.only_record()
    assert (record.outcome, record.usage_source) == (Outcome.NOT_FORWARDED, UsageSource.NONE)
    assert upstream.requests == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 429, 500, 503])
async def test_upstream_error_passes_through_and_costs_nothing(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, status: int, stream: bool
) -> None:
    body = {"error": {"message": "no", "type": "x", "param": None, "code": str(status)}}

    async def fails(request: Request, responder: Responder) -> None:
        await responder.reply(status, body)

    upstream.handle = fails
    reply = await ask(gateway.port, chat(stream=stream))
    assert (reply.status, reply.json) == (status, body)
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.outcome, record.status) == (Outcome.UPSTREAM_ERROR, status)
    assert (record.usage, record.usage_source) == (TokenUsage(), UsageSource.NONE)


async def test_unreachable_upstream_is_502_and_costs_nothing(
    gateway: GatewayProcess, ledger: ScriptedLedger, nats_url: str, tmp_path: Path
) -> None:
    async with running_gateway(tmp_path / "lonely", nats_url, "http://127.0.0.1:9") as lonely:
        reply = await ask(lonely.port, chat())
        assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
        record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.outcome, record.usage_source, record.status) == (Outcome.UPSTREAM_ERROR, UsageSource.NONE, 502)


async def test_upstream_that_hangs_up_without_an_answer_is_502(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def hangs_up(request: Request, responder: Responder) -> None:
        responder.writer.close()

    upstream.handle = hangs_up
    reply = await ask(gateway.port, chat())
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).outcome is Outcome.UPSTREAM_ERROR


async def test_broken_stream_is_told_and_charged_for_what_was_produced(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def breaks(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event(chunk("one"))
        await responder.event(chunk(" two"))
        await responder.raw(b'data: {"half":')
        responder.writer.close()

    upstream.handle = breaks
    reply = await ask(gateway.port, chat(stream=True))
    assert reply.events[-1]["error"]["code"] == "interrupted"
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.outcome, record.usage_source) == (Outcome.INTERRUPTED, UsageSource.ESTIMATED)
    assert record.usage.completion_tokens == 2


async def test_error_event_before_any_text_costs_nothing(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def fails_inside(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event({"error": {"message": "overloaded", "code": 529}})
        await responder.end_stream()

    upstream.handle = fails_inside
    reply = await ask(gateway.port, chat(stream=True))
    assert reply.events[0]["error"]["message"] == "overloaded"
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.outcome, record.usage_source) == (Outcome.UPSTREAM_ERROR, UsageSource.NONE)


async def test_call_that_takes_too_long_is_504_without_charge_and_interrupted_once_it_streams(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    data_dir = tmp_path / "hasty"
    async with running_gateway(data_dir, nats_url, upstream.url, request_seconds="1") as hasty:
        upstream.handle = silent = Stuck()
        reply = await ask(hasty.port, chat())
        assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
        await asyncio.wait_for(silent.left.wait(), 5)
        record = await ledger.record_of(reply.headers["x-solaris-request-id"])
        assert (record.outcome, record.usage_source, record.status) == (Outcome.UPSTREAM_ERROR, UsageSource.NONE, 504)

        upstream.handle = Stuck("one", " two")
        reply = await ask(hasty.port, chat(stream=True))
        assert reply.events[-1]["error"]["code"] == "interrupted"
        record = await ledger.record_of(reply.headers["x-solaris-request-id"])
        assert (record.outcome, record.usage.completion_tokens) == (Outcome.INTERRUPTED, 2)


async def test_call_that_got_nothing_but_our_comments_costs_nothing(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    settings = {"request_seconds": "1", "silence_seconds": "0.2"}
    async with running_gateway(tmp_path / "hasty", nats_url, upstream.url, ready=True, **settings) as hasty:

        async def hangs_up_late(request: Request, responder: Responder) -> None:
            await asyncio.sleep(0.5)
            responder.writer.close()

        for handle, status, code in ((Stuck(), 504, "upstream_timeout"), (hangs_up_late, 502, "upstream_unreachable")):
            upstream.handle = handle
            reply = await ask(hasty.port, chat(stream=True))
            assert reply.body.startswith(b": ping\n\n")
            assert reply.events[-1]["error"]["code"] == code
            record = await ledger.record_of(reply.headers["x-solaris-request-id"])
            assert (record.outcome, record.status) == (Outcome.UPSTREAM_ERROR, status)
            assert record.usage_source is UsageSource.NONE


async def test_reserve_without_an_answer_is_503_and_its_id_is_closed(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = lambda _: None
    reply = await ask(gateway.port, chat())
    assert (reply.status, reply.error["code"]) == (503, "ledger_unavailable")
    assert len({reserve.reservation_id for reserve in ledger.reserves}) == 1
    assert len(ledger.reserves) >= 2
    assert len({reserve.deadline for reserve in ledger.reserves}) == 1
    record = await ledger.record_of(ledger.reserves[0].reservation_id)
    assert (record.outcome, record.usage_source) == (Outcome.NOT_FORWARDED, UsageSource.NONE)
    assert upstream.requests == []


async def test_lost_answer_is_asked_for_again_with_the_same_id(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = lambda reserve: None if len(ledger.reserves) == 1 else grant(reserve)
    reply = await ask(gateway.port, chat())
    assert reply.status == 200
    assert len(ledger.reserves) == 2
    assert ledger.reserves[0] == ledger.reserves[1]
    assert (await ledger.record_of(ledger.reserves[0].reservation_id)).outcome is Outcome.COMPLETED


async def test_busy_ledger_is_asked_again(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    busy = refuse(RefusalCode.BUSY)
    ledger.decide = lambda reserve: busy(reserve) if len(ledger.reserves) < 3 else grant(reserve)
    assert (await ask(gateway.port, chat())).status == 200
    assert len(ledger.reserves) == 3


async def test_plain_refusal_leaves_no_record_but_a_doubtful_one_closes_its_id(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    blocked = refuse(RefusalCode.ACCOUNT_BLOCKED)
    ledger.decide = blocked
    assert (await ask(gateway.port, chat())).status == 403
    ledger.decide = lambda reserve: None if len(ledger.reserves) == 2 else blocked(reserve)
    doubtful = await ask(gateway.port, chat())
    assert doubtful.status == 403
    record = await ledger.only_record()
    assert record.reservation_id == doubtful.headers["x-solaris-request-id"]
    assert record.outcome is Outcome.NOT_FORWARDED


async def test_shutdown_finishes_open_streams(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    go_on = asyncio.Event()

    async def slow(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event(chunk("one"))
        await asyncio.wait_for(go_on.wait(), 10)
        await responder.event(usage_chunk())
        await responder.end_stream()

    upstream.handle = slow
    async with running_gateway(tmp_path / "leaving", nats_url, upstream.url) as leaving:
        connection = await Connection.open(leaving.port)
        await connection.send(chat(stream=True), path=PATH)
        await connection.read_head()
        await connection.read_chunk()
        leaving.terminate()
        await eventually(lambda: "service_stopping" in leaving.log)
        go_on.set()
        rest = b""
        while data := await asyncio.wait_for(connection.read_chunk(), 5):
            rest += data
        assert rest.endswith(b"data: [DONE]\n\n")
        assert await asyncio.wait_for(leaving.process.wait(), 8) == 0
    record = await ledger.only_record()
    assert (record.outcome, record.usage_source) == (Outcome.COMPLETED, UsageSource.PROVIDER)


async def test_shutdown_interrupts_what_takes_too_long_and_records_it(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    upstream.handle = Stuck("one", " two")
    data_dir = tmp_path / "leaving"
    async with running_gateway(data_dir, nats_url, upstream.url, shutdown_seconds="0.5") as leaving:
        connection = await Connection.open(leaving.port)
        await connection.send(chat(stream=True), path=PATH)
        await connection.read_head()
        await connection.read_chunk()
        leaving.terminate()
        rest = b""
        while data := await asyncio.wait_for(connection.read_chunk(), 5):
            rest += data
        assert b'"interrupted"' in rest
        assert await asyncio.wait_for(leaving.process.wait(), 8) == 0
    record = await ledger.only_record()
    assert (record.outcome, record.usage.completion_tokens) == (Outcome.INTERRUPTED, 2)


async def test_a_gateway_that_stops_says_so_first_and_still_serves_who_has_not_heard(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    async with running_gateway(tmp_path / "leaving", nats_url, upstream.url, stop_notice_seconds="4") as leaving:
        leaving.terminate()
        await eventually(lambda: "service_stopping" in leaving.log)
        readiness = await ask(leaving.port, path="/health/ready", method="GET")
        assert (readiness.status, readiness.json["failing"]) == (503, {"service": "is stopping"})
        assert (await ask(leaving.port, chat(), path=PATH)).status == 200
        waiting = await Connection.open(leaving.port)
        await waiting.send(b"", path="/health/live", method="GET")
        assert (await waiting.read_reply()).status == 200
        assert await asyncio.wait_for(leaving.process.wait(), 10) == 0
        assert await waiting.reader.read() == b""


async def test_next_call_on_the_same_connections_is_served_after_a_left_one(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    upstream.handle = Stuck("one")
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True), path=PATH)
    await connection.read_head()
    connection.leave()
    upstream.reset()
    assert (await ask(gateway.port, chat())).json == completion()


async def test_compressed_answer_is_no_answer_for_it_can_not_be_metered(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def compressed(request: Request, responder: Responder) -> None:
        head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n"
        )
        responder.writer.write(head + b"abc")
        await responder.writer.drain()

    upstream.handle = compressed
    reply = await ask(gateway.port, chat())
    assert upstream.requests[0].headers["accept-encoding"] == "identity"
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).outcome is Outcome.UPSTREAM_ERROR
