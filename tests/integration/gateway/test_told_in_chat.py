"""What a person reads in the chat when a call is not served, and what a title request gets instead."""

import asyncio
import json
from pathlib import Path

import pytest
from contracts.errors import RefusalCode
from contracts.usage import Outcome, TokenUsage, UsageSource

from tests.integration.gateway.gateway_process import GatewayProcess, running_gateway
from tests.integration.gateway.raw_http import Connection, ask, chat
from tests.integration.gateway.scripted_ledger import FIGURES, ScriptedLedger, refuse
from tests.integration.gateway.scripted_upstream import Handler, Request, Responder, ScriptedUpstream, chunk
from tests.support.eventually import eventually

IN_CHAT = {"x-solaris-notices": "chat"}
PATH = "/v1/chat/completions"
BOOM = {"error": {"message": "boom", "type": "server_error", "code": "500"}}


async def fails(request: Request, responder: Responder) -> None:
    await responder.reply(500, BOOM)


async def says_nothing_of_use(request: Request, responder: Responder) -> None:
    await responder.reply(200, b"<html></html>", "text/html")


async def hangs_up(request: Request, responder: Responder) -> None:
    responder.writer.close()


@pytest.mark.parametrize("code", [RefusalCode.INSUFFICIENT_TOKENS, RefusalCode.ACCOUNT_BLOCKED])
async def test_request_that_does_not_stream_gets_the_plain_refusal_as_it_may_be_a_title(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, code: RefusalCode
) -> None:
    ledger.decide = refuse(code, figures=FIGURES)
    for body in (chat(), chat(stream=False)):
        reply = await ask(gateway.port, body, IN_CHAT)
        assert (reply.status, reply.error["code"]) == (402 if code is RefusalCode.INSUFFICIENT_TOKENS else 403, code)


async def test_outage_of_the_ledger_is_a_message_after_the_first_wait(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = lambda _: None
    reply = await ask(gateway.port, chat(stream=True), IN_CHAT)
    assert (reply.status, reply.events[-1]) == (200, "[DONE]")
    assert "Nada foi cobrado. Tente de novo em um minuto." in reply.text
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.outcome, record.usage_source) == (Outcome.NOT_FORWARDED, UsageSource.NONE)
    assert (await ask(gateway.port, chat(), IN_CHAT)).status == 503
    assert (await ask(gateway.port, chat(stream=True))).status == 503


@pytest.mark.parametrize(
    "failure",
    [(fails, 500, "500"), (says_nothing_of_use, 502, "upstream_useless"), (hangs_up, 502, "upstream_unreachable")],
)
async def test_upstreams_failure_is_a_message_at_once(
    gateway: GatewayProcess,
    ledger: ScriptedLedger,
    upstream: ScriptedUpstream,
    failure: tuple[Handler, int, str],
) -> None:
    handle, status, code = failure
    upstream.handle = handle
    told = await ask(gateway.port, chat(stream=True), IN_CHAT | {"accept-language": "en"})
    assert (told.status, told.events[-1]) == (200, "[DONE]")
    assert "Nothing was charged. Please try again in a minute." in told.text
    record = await ledger.record_of(told.headers["x-solaris-request-id"])
    assert (record.usage, record.outcome) == (TokenUsage(), Outcome.UPSTREAM_ERROR)
    for body, headers in ((chat(), IN_CHAT), (chat(stream=True), {})):
        reply = await ask(gateway.port, body, headers)
        assert (reply.status, reply.error["code"]) == (status, code)
    if handle is fails:
        (line,) = [line for line in gateway.log.splitlines() if told.headers["x-solaris-request-id"] in line][:1]
        assert json.loads(line)["status"] == 500
        assert "boom" in json.loads(line)["body"]


@pytest.mark.parametrize("status", [400, 401, 404, 429])
async def test_upstreams_refusal_passes_through(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, status: int
) -> None:
    async def refuses(request: Request, responder: Responder) -> None:
        await responder.reply(status, BOOM)

    upstream.handle = refuses
    reply = await ask(gateway.port, chat(stream=True), IN_CHAT)
    assert (reply.status, reply.json) == (status, BOOM)


async def test_failure_after_our_comments_is_a_message_in_the_stream_that_has_begun(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    released = asyncio.Event()

    async def fails_late(request: Request, responder: Responder) -> None:
        await asyncio.wait_for(released.wait(), 10)
        await fails(request, responder)

    upstream.handle = fails_late
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=True), IN_CHAT, path=PATH)
    reply = await connection.read_head()
    assert await connection.read_chunk() == b": ping\n\n"
    released.set()
    while piece := await connection.read_chunk():
        reply.body += piece
    connection.leave()
    assert "Nada foi cobrado." in reply.text
    assert reply.events[-1] == "[DONE]"


async def test_stream_that_breaks_after_text_ends_with_an_error_that_keeps_the_text(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def breaks(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event(chunk("one"))
        responder.writer.close()

    upstream.handle = breaks
    reply = await ask(gateway.port, chat(stream=True), IN_CHAT)
    assert reply.events[-1]["error"]["code"] == "interrupted"


async def test_message_about_an_outage_leaves_the_history(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    upstream.handle = fails
    notice = (await ask(gateway.port, chat("first", stream=True), IN_CHAT)).text
    upstream.reset()
    plain = [{"role": "user", "content": "first"}, {"role": "user", "content": "again"}]
    history = [plain[0], {"role": "assistant", "content": notice}, plain[1]]
    assert (await ask(gateway.port, chat() | {"messages": history})).status == 200
    assert upstream.requests[-1].json["messages"] == plain


async def test_upstreams_errors_stay_errors_where_the_operator_wants_it_and_an_empty_key_is_no_key(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    async with running_gateway(
        tmp_path / "plain", nats_url, upstream.url, upstream_errors_in_chat="off", upstream_api_key=" "
    ) as plain:
        upstream.handle = fails
        reply = await ask(plain.port, chat(stream=True), IN_CHAT)
        assert (reply.status, reply.json) == (500, BOOM)
        assert "authorization" not in upstream.requests[-1].headers


async def test_upstreams_statuses_and_failures_are_counted(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    upstream.handle = fails
    await ask(gateway.port, chat())
    upstream.handle = hangs_up
    await ask(gateway.port, chat())

    async def counted() -> bool:
        page = (await ask(gateway.port, path="/metrics", method="GET")).body
        return all(
            name in page
            for name in (
                b'solaris_gateway_upstream_answers_total{status_class="5xx"}',
                b'solaris_gateway_upstream_failures_total{reason="broke_off"}',
            )
        )

    await eventually(counted)
