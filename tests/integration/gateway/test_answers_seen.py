"""What providers and proxies were seen to answer (cases from public reports), each with what is right to charge."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import brotli  # type: ignore[import-untyped]  # it has no type hints
import pytest
from contracts.usage import Outcome, TokenUsage, UsageSource

from tests.integration.gateway.gateway_process import GatewayProcess
from tests.integration.gateway.raw_http import Connection, Reply, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger, grant
from tests.integration.gateway.scripted_upstream import (
    Request,
    Responder,
    ScriptedUpstream,
    chunk,
    completion,
    usage_chunk,
)

PATH = "/v1/chat/completions"
WORDS = ("one", " two", " three")
REPAIRED, PROVIDER = UsageSource.PROVIDER_REPAIRED, UsageSource.PROVIDER
ESTIMATED, NONE = UsageSource.ESTIMATED, UsageSource.NONE
STREAM = "text/event-stream"


def data(content: Any, ending: str = "\n\n") -> bytes:
    return f"data: {content if isinstance(content, str) else json.dumps(content)}{ending}".encode()


def spoken(*more: Any, ending: str = "\n\n") -> bytes:
    return b"".join(data(one, ending) for one in (*map(chunk, WORDS), *more, "[DONE]"))


def tokens(prompt: int, completion: int, cached: int = 0, reasoning: int = 0) -> TokenUsage:
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_prompt_tokens=cached,
        reasoning_tokens=reasoning,
    )


def raw_answer(body: bytes, content_type: str | None, *headers: str, status: int = 200) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *headers, f"content-length: {len(body)}"]
    lines += [f"content-type: {content_type}"] if content_type is not None else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True, kw_only=True)
class Case:
    """An answer, and what is charged; `usage` None stands for our own count of the prompt and of three words."""

    name: str
    body: bytes
    source: UsageSource
    usage: TokenUsage | None = None
    stream: bool = True
    content_type: str | None = STREAM
    status: int = 200
    headers: tuple[str, ...] = ()
    told_status: int = 200
    told: str = ""


def whole(name: str, usage: Any, expected: TokenUsage) -> Case:
    body = json.dumps(completion("one two three", usage=usage)).encode()
    return Case(name=name, body=body, source=REPAIRED, usage=expected, stream=False, content_type="application/json")


def free(name: str, body: bytes, **facts: Any) -> Case:
    return Case(name=name, body=body, source=NONE, usage=TokenUsage(), **facts)


USAGE_30 = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
IN_CHOICE = {
    "choices": [
        {"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 1336, "completion_tokens": 31}}
    ]
}
IN_GROQ = chunk(None, "stop") | {"x_groq": {"id": "r", "usage": {"prompt_tokens": 23, "completion_tokens": 19}}}
PICTURE = {"choices": [{"index": 0, "delta": {"content": "x", "images": [{"image_url": {"url": "A" * 1_500_000}}]}}]}
LONG_TEXT = "word " * 240_000

FIGURES = [
    Case(name="usage_in_choice", body=spoken(IN_CHOICE), source=REPAIRED, usage=tokens(1336, 31)),
    Case(name="x_groq", body=spoken(IN_GROQ), source=REPAIRED, usage=tokens(23, 19)),
    *(
        Case(
            name=f"stream_as_{content_type}",
            body=spoken(usage_chunk(USAGE_30)),
            source=PROVIDER,
            usage=tokens(20, 10),
            content_type=content_type,
        )
        for content_type in ("application/json", "text/plain", None)
    ),
    Case(
        name="no_blank_lines",
        body=spoken(usage_chunk(USAGE_30), ending="\n"),
        source=PROVIDER,
        usage=tokens(20, 10),
    ),
    Case(
        name="picture_of_1.5_MB",
        body=data(PICTURE | {"usage": {"prompt_tokens": 12, "completion_tokens": 1290}}) + data("[DONE]"),
        source=PROVIDER,
        usage=tokens(12, 1290),
    ),
    whole("anthropics_names", {"input_tokens": 20, "output_tokens": 10}, tokens(20, 10)),
    whole(
        "thinking_in_the_total",
        {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623},
        tokens(20, 603, reasoning=405),
    ),
    whole(
        "fractions",
        {"prompt_tokens": 57, "completion_tokens": 14417.92, "total_tokens": 14474.92},
        tokens(57, 14418),
    ),
    whole("strings", {"prompt_tokens": "1200", "completion_tokens": "340"}, tokens(1200, 340)),
    whole(
        "cache_beside_the_prompt",
        {"prompt_tokens": 14, "completion_tokens": 30, "cache_read_input_tokens": 4410},
        tokens(4424, 30, cached=4410),
    ),
    whole("total_alone", {"total_tokens": 30}, tokens(9, 21)),
]

JSON = "application/json"
PAGE = b"<!DOCTYPE html><html><body>" + b"maintenance " * 2_000 + b"</body></html>"
BASE_RESP = {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}
ERROR = {"error": {"message": "overloaded", "code": 529}}
USELESS = [
    free("page", PAGE, stream=False, content_type="text/html", told_status=502, told="HTML"),
    free("page_for_a_stream", PAGE, content_type="text/html", told_status=502, told="HTML"),
    free("page_as_event_stream", PAGE, told_status=502, told="HTML"),
    free("empty_event_stream", b"", told_status=502, told="empty answer"),
    free("only_done", data("[DONE]"), told_status=502, told="empty event stream"),
    free("only_comments", b": OPENROUTER PROCESSING\n\n" * 3, told="empty event stream"),
    free("comments_and_done", b": OPENROUTER PROCESSING\n\n" + data("[DONE]"), told="empty event stream"),
    free("empty_body", b"", stream=False, content_type=JSON, told_status=502, told="empty answer"),
    free("blank_lines", b"\n\n\n\n", stream=False, content_type=JSON, told_status=502, told="empty answer"),
    free("blank_lines_for_a_stream", b"\n\n\n\n", told_status=502, told="empty answer"),
    free("bare_error", json.dumps(ERROR).encode(), told="overloaded"),
    free("bare_error_after_comment", b": hi\n\n" + json.dumps(ERROR).encode(), told="overloaded"),
    free("base_resp", json.dumps(BASE_RESP).encode(), stream=False, content_type=JSON, told="insufficient balance"),
    free("base_resp_in_stream", data(BASE_RESP) + data("[DONE]"), told="insufficient balance"),
    free("no_choices", b'{"choices": []}', stream=False, content_type=JSON),
    free("role_alone", data({"choices": [{"delta": {"role": "assistant", "content": ""}}]}) + data("[DONE]")),
    free("plain_text", b"upstream connect error", stream=False, content_type="text/plain", told_status=502),
    free("list", b"[1, 2]", stream=False, content_type=JSON, told_status=502, told="not JSON"),
    free("no_content", b"", stream=False, content_type=None, status=204, told_status=502, told="204"),
    free(
        "redirect",
        b"",
        stream=False,
        content_type=None,
        status=302,
        headers=("location: http://elsewhere.example/",),
        told_status=502,
        told="302",
    ),
]


async def answered(gateway: GatewayProcess, upstream: ScriptedUpstream, case: Case, **fields: Any) -> Reply:
    async def answer(request: Request, responder: Responder) -> None:
        headers = list(case.headers)
        raw = raw_answer(case.body, case.content_type, *headers, status=case.status)
        if case.status == 204:
            raw = raw.replace(b"content-length: 0\r\n", b"")
        responder.writer.write(raw)
        await responder.writer.drain()

    upstream.handle = answer
    return await ask(gateway.port, chat(stream=case.stream, **fields), {"accept-language": "en"})


@pytest.mark.parametrize("case", FIGURES, ids=lambda case: case.name)
async def test_figures_are_charged_in_whatever_form_they_come(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, case: Case
) -> None:
    reply = await answered(gateway, upstream, case)
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.usage, record.usage_source, record.outcome) == (case.usage, case.source, Outcome.COMPLETED)
    if case.stream:
        assert reply.headers["content-type"] == STREAM
        assert reply.text.replace("x", "") in {"one two three", ""}


@pytest.mark.parametrize("case", USELESS, ids=lambda case: case.name)
async def test_answer_that_holds_nothing_is_free_and_told(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, case: Case
) -> None:
    reply = await answered(gateway, upstream, case, max_tokens=10)
    assert reply.status == case.told_status
    assert "location" not in reply.headers
    assert case.told in reply.body.decode()
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.usage, record.usage_source, record.outcome) == (TokenUsage(), NONE, Outcome.UPSTREAM_ERROR)


async def test_comments_and_then_a_reset_are_free(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def resets(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.raw(b": OPENROUTER PROCESSING\n\n")
        responder.writer.close()

    upstream.handle = resets
    reply = await ask(gateway.port, chat(stream=True))
    assert reply.events[-1]["error"]["code"] == "upstream_unreachable"
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.usage_source, record.outcome) == (NONE, Outcome.UPSTREAM_ERROR)


async def test_long_text_in_one_event_is_counted_and_relayed(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = lambda command: grant(command, output_tokens=300_000)
    case = Case(name="", body=data(chunk(LONG_TEXT)) + data("[DONE]"), source=ESTIMATED)
    reply = await answered(gateway, upstream, case)
    assert reply.body == case.body
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert record.usage_source is ESTIMATED
    assert record.usage.completion_tokens == pytest.approx(240_000, rel=0.01)


@pytest.mark.parametrize("choices", [1, 3])
async def test_estimate_never_exceeds_what_was_granted(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, choices: int
) -> None:
    ledger.decide = lambda command: grant(command, output_tokens=10)
    case = Case(name="", body=data(chunk("word " * 100)) + data("[DONE]"), source=ESTIMATED)
    reply = await answered(gateway, upstream, case, n=choices)
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.usage_source, record.usage.completion_tokens) == (ESTIMATED, 10 * choices)


@pytest.mark.parametrize("ending", ["\n", "\n\n"])
@pytest.mark.parametrize("content_type", [STREAM, "application/json"])
async def test_odd_streams_are_relayed_live(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, ending: str, content_type: str
) -> None:
    go_on = asyncio.Event()

    async def waits(request: Request, responder: Responder) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        responder.writer.write(head.encode())
        await responder.raw(data(chunk("one"), ending) + data(chunk(" two"), ending))
        await asyncio.wait_for(go_on.wait(), 10)
        await responder.raw(data(usage_chunk(USAGE_30), ending))
        await responder.end_stream()

    upstream.handle = waits
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True), path=PATH)
    head = await connection.read_head()
    received = b""
    while b"two" not in received:
        received += await asyncio.wait_for(connection.read_chunk(), 5)
    go_on.set()
    while piece := await asyncio.wait_for(connection.read_chunk(), 5):
        received += piece
    connection.leave()
    assert b'"usage"' not in received
    assert (await ledger.record_of(head.headers["x-solaris-request-id"])).usage == tokens(20, 10)


def zstandard(body: bytes) -> bytes:
    # One raw block in a frame of one segment (RFC 8878, 3.1.1), so that the test needs no library of its own.
    assert len(body) < 2**16
    size = (len(body) - 256).to_bytes(2, "little")
    return b"\x28\xb5\x2f\xfd\x60" + size + ((len(body) << 3) | 1).to_bytes(3, "little") + body


def raw_deflate(body: bytes) -> bytes:
    squeezed = zlib.compressobj(wbits=-15)
    return squeezed.compress(body) + squeezed.flush()


ENCODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw_deflate": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_compressed_answer_is_decoded(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, encoding: str, stream: bool
) -> None:
    name, compress = ENCODINGS[encoding]
    plain = (
        spoken(usage_chunk(USAGE_30))
        if stream
        else json.dumps(completion("one two three " * 20, usage=USAGE_30)).encode()
    )
    case = Case(
        name=encoding,
        body=compress(plain),
        source=PROVIDER,
        stream=stream,
        content_type=STREAM if stream else JSON,
        headers=(f"content-encoding: {name}",),
    )
    reply = await answered(gateway, upstream, case)
    assert "content-encoding" not in reply.headers
    assert reply.text == "one two three" if stream else reply.body == plain
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.usage, record.usage_source) == (tokens(20, 10), PROVIDER)


async def test_compressed_stream_is_relayed_as_it_comes(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    go_on = asyncio.Event()

    async def waits(request: Request, responder: Responder) -> None:
        squeezed = zlib.compressobj(wbits=31)
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
        responder.writer.write(head.encode() + b"transfer-encoding: chunked\r\n\r\n")
        await responder.raw(squeezed.compress(data(chunk("first"))) + squeezed.flush(zlib.Z_SYNC_FLUSH))
        await asyncio.wait_for(go_on.wait(), 10)
        await responder.raw(squeezed.compress(data(usage_chunk(USAGE_30)) + data("[DONE]")) + squeezed.flush())
        await responder.end_stream(done=False)

    upstream.handle = waits
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True), path=PATH)
    head = await connection.read_head()
    assert b"first" in await asyncio.wait_for(connection.read_chunk(), 5)
    go_on.set()
    while await asyncio.wait_for(connection.read_chunk(), 5):
        pass
    connection.leave()
    assert (await ledger.record_of(head.headers["x-solaris-request-id"])).usage == tokens(20, 10)


async def test_unfolding_bomb_is_an_error_and_not_kept(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    bomb = gzip.compress(b" " * (100 * 2**20))
    case = Case(name="", body=bomb, source=NONE, stream=False, content_type=JSON, headers=("content-encoding: gzip",))
    reply = await answered(gateway, upstream, case)
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).usage_source is NONE
    upstream.reset()
    assert (await ask(gateway.port, chat())).status == 200


@pytest.mark.parametrize("wants_usage", [False, True])
async def test_completion_after_a_silence_becomes_the_chunks_of_the_stream_that_has_begun(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, wants_usage: bool
) -> None:
    released = asyncio.Event()
    calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    whole_answer = completion("one two three", usage=USAGE_30)
    whole_answer["choices"][0]["message"]["tool_calls"] = calls

    async def late(request: Request, responder: Responder) -> None:
        await asyncio.wait_for(released.wait(), 10)
        await responder.reply(200, whole_answer)

    upstream.handle = late
    options = {"stream_options": {"include_usage": True}} if wants_usage else {}
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True) | options, path=PATH)
    reply = await asyncio.wait_for(connection.read_head(), 5)
    assert await connection.read_chunk() == b": ping\n\n"
    released.set()
    while piece := await connection.read_chunk():
        reply.body += piece
    connection.leave()
    events = reply.events
    assert {event["object"] for event in events[:-1]} == {"chat.completion.chunk"}
    assert events[0]["choices"][0]["delta"]["content"] == "one two three"
    assert events[0]["choices"][0]["delta"]["tool_calls"] == [{"index": 0, **calls[0]}]
    assert "message" not in events[0]["choices"][0]
    assert [event.get("usage") for event in events[1:-1]] == ([USAGE_30] if wants_usage else [])
    assert (await ledger.record_of(reply.headers["x-solaris-request-id"])).usage == tokens(20, 10)


@dataclass
class OncePerConnection:
    """Answers a connection's first request; its second one is met by a reset, as from a server that had closed it."""

    served: set[asyncio.StreamWriter] = field(default_factory=set)
    resets: int = 0

    async def __call__(self, request: Request, responder: Responder) -> None:
        if responder.writer in self.served:
            self.resets += 1
            responder.writer.transport.abort()
            return
        self.served.add(responder.writer)
        await responder.reply(200, completion())


async def test_call_on_a_connection_that_was_closed_meanwhile_is_sent_once_more(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    upstream.handle = impolite = OncePerConnection()
    for _ in range(3):
        reply = await ask(gateway.port, chat())
        assert reply.status == 200
        record = await ledger.record_of(reply.headers["x-solaris-request-id"])
        assert (record.usage, record.usage_source) == (tokens(20, 9), PROVIDER)
    assert impolite.resets >= 2


class Withheld:
    """Sends all of a whole answer but its last byte, and then waits or hangs up."""

    def __init__(self, body: bytes, *, hang_up: bool) -> None:
        self.body = body
        self.hang_up = hang_up
        self.sent = asyncio.Event()

    async def __call__(self, request: Request, responder: Responder) -> None:
        responder.writer.write(raw_answer(self.body, JSON)[:-1])
        await responder.writer.drain()
        self.sent.set()
        if self.hang_up:
            responder.writer.close()
        else:
            await asyncio.wait_for(responder.closed.wait(), 20)


@pytest.mark.parametrize("usage", [USAGE_30, None])
async def test_whole_answer_that_breaks_off_is_charged_for_what_came_and_not_asked_for_again(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, usage: Any
) -> None:
    upstream.handle = Withheld(json.dumps(completion("one two three", usage=usage)).encode(), hang_up=True)
    reply = await ask(gateway.port, chat())
    assert (reply.status, reply.error["code"]) == (424, "answer_cut")
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert record.outcome is Outcome.INTERRUPTED
    if usage is None:
        assert (record.usage, record.usage_source) == (tokens(record.estimated_prompt_tokens, 3), ESTIMATED)
    else:
        assert (record.usage, record.usage_source) == (tokens(20, 10), PROVIDER)


@pytest.mark.parametrize("usage", [USAGE_30, None])
async def test_client_that_leaves_before_the_last_byte_is_charged_for_what_came(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, usage: Any
) -> None:
    body = json.dumps(completion("one two three", usage=usage)).encode()
    upstream.handle = withheld = Withheld(body, hang_up=False)
    connection = await Connection.open(gateway.port)
    await connection.send(chat(), path=PATH)
    await asyncio.wait_for(withheld.sent.wait(), 5)
    await asyncio.sleep(0.2)  # no sign tells from outside that the gateway has read those bytes
    connection.leave()
    record = await ledger.only_record()
    assert record.outcome is Outcome.CLIENT_DISCONNECTED
    assert record.usage == (tokens(20, 10) if usage else tokens(record.estimated_prompt_tokens, 3))


async def test_early_figures_do_not_hide_what_came_after_them(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def early(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event(chunk("one") | {"usage": {"prompt_tokens": 20, "completion_tokens": 1}})
        for _ in range(300):
            await responder.event(chunk(" word" * 10))
        await asyncio.wait_for(responder.closed.wait(), 20)

    upstream.handle = early
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True), path=PATH)
    await connection.read_head()
    received = b""
    while received.count(b"data:") < 301:
        received += await connection.read_chunk()
    connection.leave()
    record = await ledger.only_record()
    assert (record.usage, record.usage_source) == (tokens(20, 3001), ESTIMATED)


async def test_headers_about_money_and_keys_stay_behind(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    secret = (
        "x-litellm-key-spend",
        "x-litellm-model-api-base",
        "x-litellm-response-cost",
        "x-litellm-response-cost-original",
        "llm_provider-x-request-id",
    )
    body = json.dumps(completion()).encode()
    case = Case(
        name="",
        body=body,
        source=PROVIDER,
        stream=False,
        content_type=JSON,
        headers=(*(f"{name}: 1" for name in secret), "x-litellm-model-id: m"),
    )
    reply = await answered(gateway, upstream, case)
    assert not set(secret) & set(reply.headers)
    assert reply.headers["x-litellm-model-id"] == "m"
