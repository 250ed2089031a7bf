"""What providers and proxies were seen to answer (cases from public reports), each with what is right to charge."""

import asyncio
import json
from typing import Any

import pytest
from contracts.usage import Outcome, TokenUsage

from tests.integration.gateway.answer_case import (
    ESTIMATED,
    JSON,
    NONE,
    PATH,
    PROVIDER,
    REPAIRED,
    STREAM,
    USAGE_30,
    WORDS,
    Case,
    answered,
    data,
    raw_answer,
    spoken,
    tokens,
)
from tests.integration.gateway.gateway_process import GatewayProcess
from tests.integration.gateway.raw_http import Connection, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger, grant
from tests.integration.gateway.scripted_upstream import (
    Request,
    Responder,
    ScriptedUpstream,
    chunk,
    completion,
    usage_chunk,
)


def whole(name: str, usage: Any, expected: TokenUsage) -> Case:
    body = json.dumps(completion("one two three", usage=usage)).encode()
    return Case(name=name, body=body, source=REPAIRED, usage=expected, stream=False, content_type="application/json")


def free(name: str, body: bytes, **facts: Any) -> Case:
    return Case(name=name, body=body, source=NONE, usage=TokenUsage(), **facts)


ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
OVER_LINES = (
    "".join(f"data: {line}\n" for line in json.dumps(usage_chunk(USAGE_30), indent=1).splitlines()).encode() + b"\n"
)


def told(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


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
    Case(
        name="early_zeros",
        body=data(chunk("") | {"usage": ZEROS}) + spoken(usage_chunk(USAGE_30)),
        source=PROVIDER,
        usage=tokens(20, 10),
    ),
    Case(
        name="null_in_every_chunk",
        body=b"".join(data(chunk(word) | {"usage": None}) for word in WORDS) + data(usage_chunk(USAGE_30)),
        source=PROVIDER,
        usage=tokens(20, 10),
    ),
    Case(
        name="cumulative",
        body=b"".join(data(chunk(word) | {"usage": told(20, so_far)}) for so_far, word in enumerate(WORDS, 1)),
        source=PROVIDER,
        usage=tokens(20, 3),
    ),
    Case(name="crlf", body=spoken(usage_chunk(USAGE_30), ending="\r\n\r\n"), source=PROVIDER, usage=tokens(20, 10)),
    Case(
        name="multi_line_data",
        body=b"".join(data(chunk(word)) for word in WORDS) + OVER_LINES + data("[DONE]"),
        source=PROVIDER,
        usage=tokens(20, 10),
    ),
    Case(
        name="azures_first_chunk",
        body=data({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}) + spoken(usage_chunk(USAGE_30)),
        source=PROVIDER,
        usage=tokens(20, 10),
    ),
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
    ledger.decide = lambda reserve: grant(reserve, output_tokens=300_000)
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
    ledger.decide = lambda reserve: grant(reserve, output_tokens=10)
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


async def test_no_upstream_speaks_in_our_name(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    theirs = ("x-solaris-request-id: theirs", "X-Solaris-Tokens-Available: 7", "x-solaris-anything: 1")

    async def handle(request: Request, responder: Responder) -> None:
        responder.writer.write(raw_answer(json.dumps(completion()).encode(), JSON, *theirs))
        await responder.writer.drain()

    upstream.handle = handle
    connection = await Connection.open(gateway.port)
    await connection.send(chat(), path=PATH)
    head = (await connection.reader.readuntil(b"\r\n\r\n")).lower()
    connection.leave()
    assert head.count(b"x-solaris-request-id: ") == head.count(b"x-solaris-tokens-available: ") == 1
    assert b": theirs" not in head
    assert b"x-solaris-anything" not in head
