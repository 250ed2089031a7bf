"""Each request that names an account ends as exactly one line of the request log, whatever becomes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from contracts.errors import RefusalCode
from contracts.requests import RequestEnding
from contracts.usage import Outcome, UsageSource

from tests.integration.gateway.gateway_process import GatewayProcess, running_gateway
from tests.integration.gateway.raw_http import Connection, ask, chat
from tests.integration.gateway.request_listener import RequestListener, listening
from tests.integration.gateway.scripted_ledger import FIGURES, ScriptedLedger, refuse
from tests.integration.gateway.scripted_upstream import (
    METERED,
    USAGE,
    Request,
    Responder,
    ScriptedUpstream,
    completion,
)

PATH = "/v1/chat/completions"


@pytest_asyncio.fixture(scope="module")
async def listener(nats_url: str) -> AsyncIterator[RequestListener]:
    async with listening(nats_url) as hearing:
        yield hearing


async def test_a_served_call_is_told_with_what_was_estimated_granted_and_used(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, listener: RequestListener
) -> None:
    headers = {
        "x-user-id": "served",
        "x-conversation-id": "talk",
        "x-client-request-id": "message",
        "x-stainless-retry-count": "1",
        "user-agent": "OpenAI/Python 2.8",
        "x-forwarded-for": "198.51.100.7, 127.0.0.1",
    }
    before = datetime.now(UTC)
    reply = await ask(gateway.port, chat(stream=True), headers)
    line = await listener.one_of("served")
    record = await ledger.record_of(line.request_id)
    assert line.request_id == reply.headers["x-solaris-request-id"]
    assert before - timedelta(seconds=1) < line.at <= datetime.now(UTC)
    assert (line.ending, line.outcome, line.status, line.code) == (RequestEnding.SERVED, Outcome.COMPLETED, 200, None)
    assert (line.model, line.endpoint, line.streamed) == ("gpt-4o", PATH, True)
    assert (line.conversation_id, line.client_request_id, line.client_retries) == ("talk", "message", 1)
    assert (line.address, line.user_agent) == ("198.51.100.7", "OpenAI/Python 2.8")
    assert (line.usage, line.usage_source) == (METERED, UsageSource.PROVIDER)
    assert line.estimated_prompt_tokens == record.estimated_prompt_tokens > 0
    assert line.granted_output_tokens == 4096
    assert line.held_tokens == ledger.reserves[-1].prompt_tokens + 4096
    assert line.first_token_ms is not None
    assert line.duration_ms >= line.first_token_ms
    assert (line.upstream_attempts, line.cached, line.bodies) == (1, False, None)
    assert line.key_id == ledger.reserves[-1].key_id != ""


async def test_the_address_is_the_one_that_the_proxy_added_as_a_line_of_its_own(
    gateway: GatewayProcess, listener: RequestListener
) -> None:
    written = "6.6.6.6\r\nx-forwarded-for: 198.51.100.8"
    assert (await ask(gateway.port, chat(), {"x-user-id": "two-lines", "x-forwarded-for": written})).status == 200
    assert (await listener.one_of("two-lines")).address == "198.51.100.8"


async def test_each_refusal_is_told_by_its_code(
    gateway: GatewayProcess, ledger: ScriptedLedger, listener: RequestListener
) -> None:
    """What the ledger can't answer at all is one code to whoever asked, whatever kept it from answering."""
    replies = {}
    for code in set(RefusalCode) - {RefusalCode.BUSY, RefusalCode.LATE, RefusalCode.LEDGER_UNAVAILABLE}:  # asked again
        ledger.decide = refuse(code, figures=FIGURES)
        for notices in ("error", "chat"):
            headers = {"x-user-id": f"refused-{code}-{notices}", "x-solaris-notices": notices}
            replies[code, notices] = await ask(gateway.port, chat(stream=True), headers)
    for (code, notices), reply in replies.items():
        line = await listener.one_of(f"refused-{code}-{notices}")
        unavailable = code in {RefusalCode.RESERVATION_CLOSED, RefusalCode.CONFLICT}
        assert line.ending is RequestEnding.REFUSED
        assert line.code == ("ledger_unavailable" if unavailable else code)
        assert line.status == reply.status
        if reply.status != 200:
            assert reply.error["code"] == line.code
        if not unavailable:
            assert (line.available_tokens, line.needed_tokens) == (FIGURES.available, FIGURES.needed)
        assert (line.usage, line.held_tokens, line.upstream_attempts) == (None, None, 0)


BROKEN: Final[dict[str, tuple[Any, int]]] = {
    "no-json": (b"{", 400),
    "absurd": (b"[" * 100_000, 400),
    "too-large": (b"x" * 3_000_000, 413),
    "not-for-clients": (chat(fallbacks=["gpt-5"]), 400),
    "too-many-choices": (chat(n=99), 400),
    "no-messages": ({"model": "gpt-4o"}, 400),
}


async def test_what_breaks_a_rule_is_told_under_the_name_in_its_headers(
    small: GatewayProcess, listener: RequestListener
) -> None:
    for account, (body, status) in BROKEN.items():
        assert (await ask(small.port, body, {"x-user-id": account})).status == status
    for account, (_, status) in BROKEN.items():
        line = await listener.one_of(account)
        assert (line.ending, line.code, line.status) == (RequestEnding.REFUSED, "invalid_request", status)


@pytest_asyncio.fixture(scope="module")
async def small(
    tmp_path_factory: pytest.TempPathFactory,
    nats_url: str,
    module_ledger: ScriptedLedger,
    module_upstream: ScriptedUpstream,
) -> AsyncIterator[GatewayProcess]:
    """A gateway that takes bodies of a mebibyte, and tells how they begin."""
    async with running_gateway(
        tmp_path_factory.mktemp("small"),
        nats_url,
        module_upstream.url,
        max_body_bytes=str(2**20),
        log_bodies="on",
        log_body_bytes="100",
    ) as process:
        yield process


async def test_a_field_that_is_refused_is_told_under_the_name_in_the_body(
    gateway: GatewayProcess, listener: RequestListener
) -> None:
    reply = await ask(gateway.port, chat(user="by-body", model="m", fallbacks=["x"]), {"x-user-id": None})
    assert reply.error["param"] == "fallbacks"
    line = await listener.one_of("by-body")
    assert (line.code, line.model) == ("invalid_request", "m")


async def test_who_names_nobody_or_has_no_key_leaves_no_line(
    gateway: GatewayProcess, ledger: ScriptedLedger, listener: RequestListener
) -> None:
    heard = {account: len(lines) for account, lines in listener.lines.items()}
    assert (await ask(gateway.port, chat(), {"x-user-id": None})).error["code"] == "missing_user"
    assert (await ask(gateway.port, chat(), {"x-user-id": "nokey", "authorization": "Bearer x"})).status == 401
    assert (await ask(gateway.port, chat(), {"x-user-id": "b64:!"})).status == 400
    # Lines are told in their order: this one comes after theirs.
    await ask(gateway.port, chat(), {"x-user-id": "after-nobody"})
    await listener.one_of("after-nobody")
    assert {account: len(lines) for account, lines in listener.lines.items()} == heard | {"after-nobody": 1}
    metrics = (await ask(gateway.port, path="/metrics", method="GET")).body.decode()
    for code in ("missing_user", "invalid_api_key"):
        assert f'solaris_gateway_refused_total{{code="{code}"}}' in metrics


async def test_an_upstreams_error_is_a_failure_and_the_clients_leaving_is_none_of_a_call_that_is_charged(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, listener: RequestListener
) -> None:
    async def failing(_: Request, responder: Responder) -> None:
        await responder.reply(500, {"error": {"message": "no"}})

    stuck = asyncio.Event()

    async def slow(_: Request, responder: Responder) -> None:
        stuck.set()
        await responder.closed.wait()

    upstream.handle = failing
    await ask(gateway.port, chat(), {"x-user-id": "failing"})
    await ask(gateway.port, chat(stream=True), {"x-user-id": "failing-in-chat", "x-solaris-notices": "chat"})
    upstream.handle = slow
    connection = await Connection.open(gateway.port)
    await connection.send(chat(), {"x-user-id": "leaver"}, path=PATH)
    await asyncio.wait_for(stuck.wait(), 5)
    connection.leave()
    connection = await Connection.open(gateway.port)
    await connection.send(b"{", {"x-user-id": "early-leaver", "content-length": "9999"}, path=PATH)
    connection.leave()

    line = await listener.one_of("failing")
    assert (line.ending, line.code, line.status) == (RequestEnding.FAILED, "upstream_error", 500)
    assert line.outcome == Outcome.UPSTREAM_ERROR
    line = await listener.one_of("failing-in-chat")
    assert (line.ending, line.code, line.status) == (RequestEnding.FAILED, "upstream_failed", 200)
    line = await listener.one_of("leaver")
    assert (line.ending, line.outcome, line.status) == (RequestEnding.SERVED, Outcome.CLIENT_DISCONNECTED, 499)
    assert (line.usage_source, line.code) == (UsageSource.ESTIMATED, None)
    line = await listener.one_of("early-leaver")
    assert (line.ending, line.code, line.status) == (RequestEnding.FAILED, "client_left", 499)


async def test_an_answer_from_a_cache_and_a_call_that_was_sent_again_are_told(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, listener: RequestListener
) -> None:
    async def cached(_: Request, responder: Responder) -> None:
        body = json.dumps(completion(usage=USAGE)).encode()
        responder.writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-litellm-cache-key: abc\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(body), body)
        )
        await responder.writer.drain()

    upstream.handle = cached
    await ask(gateway.port, chat(), {"x-user-id": "cached"})
    assert (await listener.one_of("cached")).cached

    async def picky(request: Request, responder: Responder) -> None:
        if "stream_options" in request.json:
            message = "Unrecognized request argument supplied: stream_options"
            await responder.reply(400, {"error": {"message": message, "param": "stream_options"}})
        else:
            await responder.start_stream()
            await responder.event(completion())
            await responder.end_stream()

    upstream.handle = picky
    await ask(gateway.port, chat(stream=True, model="picky"), {"x-user-id": "again"})
    assert (await listener.one_of("again")).upstream_attempts == 2


async def test_bodies_are_told_as_they_begin_where_that_is_wanted(
    small: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, listener: RequestListener
) -> None:
    body = json.dumps(chat("secret " * 50)).encode()
    whole = await ask(small.port, body, {"x-user-id": "bodies"})
    line = await listener.one_of("bodies")
    assert line.bodies is not None
    assert line.bodies.request == body.decode()[:100]
    assert line.bodies.answer == whole.body.decode()[:100]

    stream = await ask(small.port, chat(stream=True), {"x-user-id": "bodies-streamed"})
    line = await listener.one_of("bodies-streamed")
    assert line.bodies is not None
    assert line.bodies.answer == stream.body.decode()[:100]


async def test_observing_tells_what_would_have_been_refused_and_what_was_not_looked_at(
    ledger: ScriptedLedger,
    upstream: ScriptedUpstream,
    listener: RequestListener,
    nats_url: str,
    tmp_path: Path,
) -> None:
    ledger.decide = refuse(RefusalCode.INSUFFICIENT_TOKENS, figures=FIGURES)
    async with running_gateway(tmp_path, nats_url, upstream.url, enforcement="observe") as gateway:
        await ask(gateway.port, chat(), {"x-user-id": "observed"})
        await ask(gateway.port, chat(fallbacks=["x"]), {"x-user-id": "observed-body"})
        line = await listener.one_of("observed")
        by_body = await listener.one_of("observed-body")
    assert (line.ending, line.would_refuse, line.code) == (RequestEnding.SERVED, "insufficient_tokens", None)
    assert line.needed_tokens == FIGURES.needed
    assert (by_body.ending, by_body.would_refuse) == (RequestEnding.SERVED, "invalid_request")


async def test_a_gateway_that_stops_tells_what_it_has_and_nothing_is_told_twice(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, listener: RequestListener, nats_url: str, tmp_path: Path
) -> None:
    ledger.decide = refuse(RefusalCode.RATE_LIMITED)
    async with running_gateway(tmp_path, nats_url, upstream.url) as gateway:
        await asyncio.gather(*(ask(gateway.port, chat(), {"x-user-id": "stopping"}) for _ in range(60)))
        gateway.terminate()
        assert await asyncio.wait_for(gateway.process.wait(), 15) == 0
    lines = await listener.of("stopping", 60)
    assert len({line.request_id for line in lines}) == 60
