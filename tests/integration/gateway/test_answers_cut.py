"""Answers that do not come to their end, or not at the first attempt."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from contracts.usage import Outcome

from tests.integration.gateway.answer_case import (
    ESTIMATED,
    JSON,
    PATH,
    PROVIDER,
    USAGE_30,
    raw_answer,
    tokens,
)
from tests.integration.gateway.gateway_process import GatewayProcess
from tests.integration.gateway.raw_http import Connection, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger
from tests.integration.gateway.scripted_upstream import (
    Request,
    Responder,
    ScriptedUpstream,
    chunk,
    completion,
)


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
    assert (reply.status, reply.error["code"]) == (406, "answer_cut")
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
