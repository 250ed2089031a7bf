"""What a model refuses of what we wrote is learned from its refusal, asked once more, and remembered."""

import asyncio
from pathlib import Path

import pytest
from contracts.usage import Outcome, TokenUsage

from tests.integration.gateway.gateway_process import GatewayProcess, running_gateway
from tests.integration.gateway.raw_http import Connection, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger, grant
from tests.integration.gateway.scripted_upstream import Request, Responder, ScriptedUpstream, polite

PATH = "/v1/chat/completions"


def unbounded(ledger: ScriptedLedger) -> None:
    """As the ledger grants a call of a model whose maximum nobody knows."""
    ledger.decide = lambda reserve: grant(
        reserve, output_tokens=16_384, write_maximum=reserve.model_output_tokens is None
    )


TOO_LARGE = "max_tokens is too large: 16384. This model supports at most 8192 completion tokens."
OUT_OF_RANGE = "max_tokens: 16384 > 4096, which is the maximum allowed number of output tokens"
OTHER_NAME = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
)


@pytest.mark.parametrize(("status", "message", "largest"), [(400, TOO_LARGE, 8_192), (422, OUT_OF_RANGE, 4_096)])
async def test_a_maximum_that_is_too_large_is_lowered_once_and_remembered(
    gateway: GatewayProcess,
    ledger: ScriptedLedger,
    upstream: ScriptedUpstream,
    *,
    status: int,
    message: str,
    largest: int,
) -> None:
    unbounded(ledger)
    model = f"model-{largest}"

    async def strict(request: Request, responder: Responder) -> None:
        if request.json.get("max_tokens", 0) > largest:
            await responder.reply(status, {"error": {"message": message}})
        else:
            await polite(request, responder)

    upstream.handle = strict
    assert (await ask(gateway.port, chat(model=model))).status == 200
    assert [request.json.get("max_tokens") for request in upstream.requests] == [16_384, largest]
    for more in ({}, {"max_tokens": 7}, {"thinking": {"type": "enabled", "budget_tokens": 2_000}}):
        assert (await ask(gateway.port, chat(model=model) | more)).status == 200
    after, own, thinking = (request.json for request in upstream.requests[2:])
    assert after["max_tokens"] == thinking["max_tokens"] == largest, "unwritten, a wrong lesson would bound nothing"
    assert own["max_tokens"] == 7
    assert thinking["thinking"] == {"type": "enabled", "budget_tokens": 2_000}
    told = [(reserve.model_output_tokens, reserve.thinking_tokens) for reserve in ledger.reserves[1:]]
    assert told == [(largest, 0), (largest, 0), (largest + 2_000, 2_000)]


async def test_what_was_learned_bounds_a_call_without_a_hold(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    unbounded(ledger)

    async def strict(request: Request, responder: Responder) -> None:
        if request.json.get("max_tokens", 0) > 8_192:
            await responder.reply(400, {"error": {"message": TOO_LARGE}})
        else:
            await polite(request, responder)

    upstream.handle = strict
    async with running_gateway(tmp_path / "data", nats_url, upstream.url, ledger_failure="open") as lenient:
        assert (await ask(lenient.port, chat(model="any"))).status == 200
        ledger.decide = lambda _: None
        assert (await ask(lenient.port, chat(model="any"))).status == 200
    assert upstream.requests[-1].json["max_tokens"] == 8_192


async def test_the_other_name_of_the_maximum_is_learned(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = lambda reserve: grant(reserve, output_tokens=500, write_maximum=True)

    async def reasoning(request: Request, responder: Responder) -> None:
        if "max_tokens" in request.json:
            await responder.reply(400, {"error": {"message": OTHER_NAME}})
        else:
            await polite(request, responder)

    upstream.handle = reasoning
    for _ in range(2):
        assert (await ask(gateway.port, chat(model="my-alias"))).status == 200
    written = [
        (request.json.get("max_tokens"), request.json.get("max_completion_tokens")) for request in upstream.requests
    ]
    assert written == [(500, None), (None, 500), (None, 500)]


async def test_a_stream_whose_options_are_refused_is_asked_for_without_them(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def plain(request: Request, responder: Responder) -> None:
        if "stream_options" in request.json:
            await responder.reply(
                422, {"detail": [{"loc": ["body", "stream_options"], "msg": "extra fields not permitted"}]}
            )
        else:
            await polite(request, responder)

    upstream.handle = plain
    for _ in range(2):
        reply = await ask(gateway.port, chat(model="no-options", stream=True))
        assert reply.status == 200
        assert reply.events[-1] == "[DONE]"
    assert ["stream_options" in request.json for request in upstream.requests] == [True, False, False]


async def test_a_refusal_of_the_client_s_own_words_is_handed_on_and_not_asked_again(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def strict(request: Request, responder: Responder) -> None:
        await responder.reply(
            400, {"error": {"message": "max_tokens is too large: 50000. At most 8192 are supported."}}
        )

    upstream.handle = strict
    assert (await ask(gateway.port, chat(max_tokens=50_000))).status == 400
    assert len(upstream.requests) == 1


async def test_one_call_is_repeated_once_at_most(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    unbounded(ledger)

    async def never(request: Request, responder: Responder) -> None:
        asked = request.json["max_tokens"]
        await responder.reply(400, {"error": {"message": f"max_tokens is too large: {asked}, at most {asked // 2}"}})

    upstream.handle = never
    reply = await ask(gateway.port, chat(model="never-content"))
    assert (reply.status, len(upstream.requests)) == (400, 2)
    record = await ledger.only_record()
    assert record.usage.completion_tokens == 0


async def test_what_a_call_beside_has_learned_meanwhile_is_used(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    """As a chat's title is asked for beside its first answer."""
    unbounded(ledger)
    both, first_done = asyncio.Barrier(2), asyncio.Event()

    async def strict(request: Request, responder: Responder) -> None:
        if request.json["max_tokens"] <= 8_192:
            await polite(request, responder)
            first_done.set()
            return
        if await both.wait():
            await asyncio.wait_for(first_done.wait(), 10)
        await responder.reply(400, {"error": {"message": TOO_LARGE}})

    upstream.handle = strict
    replies = await asyncio.gather(*(ask(gateway.port, chat(model="asked-twice")) for _ in range(2)))
    assert [reply.status for reply in replies] == [200, 200]
    assert len(upstream.requests) == 4


@pytest.mark.parametrize("stream", [True, False])
async def test_who_leaves_while_a_refusal_is_read_is_charged_nothing(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, *, stream: bool
) -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def half_a_refusal(request: Request, responder: Responder) -> None:
        responder.writer.write(b"HTTP/1.1 400 X\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
        await responder.writer.drain()
        begun.set()
        await asyncio.wait_for(responder.closed.wait(), 20)
        left.set()

    upstream.handle = half_a_refusal
    connection = await Connection.open(gateway.port)
    await connection.send(chat(stream=stream), path=PATH)
    await asyncio.wait_for(begun.wait(), 5)
    await asyncio.sleep(0.3)  # the gateway reads the head
    connection.leave()
    await asyncio.wait_for(left.wait(), 5)
    record = await ledger.only_record()
    assert (record.outcome, record.status) == (Outcome.UPSTREAM_ERROR, 400)
    assert record.usage == TokenUsage()


async def test_words_of_a_client_s_in_a_refusal_change_nothing_for_others(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def echo(request: Request, responder: Responder) -> None:
        role = request.json["messages"][0]["role"]
        if role == "user":
            await polite(request, responder)
        else:
            await responder.reply(400, {"error": {"message": f"bad role '{role}'"}})

    unbounded(ledger)
    upstream.handle = echo
    for role in ("max_tokens 16384 maximum 300", "stream_options"):
        hostile = chat(model="shared", stream=True) | {"messages": [{"role": role, "content": "x"}]}
        assert (await ask(gateway.port, hostile)).status == 400
    upstream.requests.clear()
    assert (await ask(gateway.port, chat(model="shared", stream=True))).status == 200
    assert upstream.requests[0].json["max_tokens"] == 16_384
    assert "stream_options" in upstream.requests[0].json
