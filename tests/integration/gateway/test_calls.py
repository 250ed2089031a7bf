"""Calls that are served: reserved, forwarded, relayed as they are, recorded once."""

import json
from pathlib import Path
from typing import Any

import pytest
from contracts.usage import Outcome, TokenUsage, UsageSource
from openai import AsyncOpenAI

from tests.integration.gateway.gateway_process import GatewayProcess, running_gateway
from tests.integration.gateway.raw_http import KEY, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger, grant
from tests.integration.gateway.scripted_upstream import (
    METERED,
    Request,
    Responder,
    ScriptedUpstream,
    chunk,
    completion,
)
from tests.support.eventually import eventually


async def test_call_is_reserved_forwarded_and_recorded(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    headers = {"x-user-email": "ana@example.com", "x-user-name": "b64:QW5hIPCfmIA=", "x-conversation-id": "c-1"}
    reply = await ask(gateway.port, chat(max_tokens=77, n=2), headers)

    assert reply.status == 200
    assert reply.json == completion()
    assert reply.headers["x-upstream"] == "yes"
    assert reply.headers["x-solaris-tokens-available"] == "900000"
    (reserve,) = ledger.reserves
    assert reserve.reservation_id == reply.headers["x-solaris-request-id"]
    assert (reserve.account_id, reserve.model, reserve.choices) == ("ana", "gpt-4o", 2)
    assert (reserve.maximum_output_tokens, reserve.model_output_tokens) == (77, None)
    assert reserve.profile is not None
    assert (reserve.profile.email, reserve.profile.name) == ("ana@example.com", "Ana 😀")
    record = await ledger.record_of(reserve.reservation_id)
    assert record.usage == METERED
    assert (record.usage_source, record.outcome, record.status) == (UsageSource.PROVIDER, Outcome.COMPLETED, 200)
    assert record.conversation_id == "c-1"
    assert record.estimated_prompt_tokens == reserve.prompt_tokens > 0
    assert not record.forwarded_without_hold


async def test_every_value_of_a_body_is_forwarded_as_it_came(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    body = b'{ "model":"gpt-4o",  "seed": 12345678901234567890, "messages":[{"role":"user","content":"\\u00e9"}]}\n'
    assert (await ask(gateway.port, body)).status == 200
    assert upstream.requests[0].json == json.loads(body)


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b'{"model":"gpt-4o","messages":[{"role":"user","content":"page\\u00001"}]}', "page\x001"),
        (b'{"model":"gpt-4o","messages":[{"role":"user","content":"cut \\ud83d"}]}', "cut \ufffd"),
        (b'{"model":"gpt-4o","user":12345,"messages":[{"role":"user","content":"a"}]}', "a"),
    ],
)
async def test_bodies_that_work_without_us_work_with_us(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, body: bytes, content: str
) -> None:
    assert (await ask(gateway.port, body, {"x-user-id": "ana"})).status == 200
    assert upstream.requests[0].json["messages"][0]["content"] == content


@pytest.mark.parametrize(
    "maxima", [{"max_tokens": 1, "max_completion_tokens": 50_000}, {"max_tokens": 50_000, "max_completion_tokens": 1}]
)
async def test_the_hold_is_for_the_larger_of_two_maxima(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, maxima: dict[str, int]
) -> None:
    assert (await ask(gateway.port, chat() | maxima)).status == 200
    assert ledger.reserves[0].maximum_output_tokens == 50_000


@pytest.mark.parametrize(
    "fields",
    [
        {"thinking": {"type": "enabled", "budget_tokens": 20_000}},
        {"reasoning": {"max_tokens": 20_000}},
        {"chat_template_kwargs": {"thinking_budget": 20_000}},
        {"thinking_tokens": 20_000},
        {"options": [{"thinkingConfig": {"thinkingBudget": 20_000}}]},
    ],
)
async def test_thinking_beside_a_maximum_that_only_the_ledger_knows_is_told(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, fields: dict[str, Any]
) -> None:
    assert (await ask(gateway.port, chat() | fields)).status == 200
    reserve = ledger.reserves[0]
    assert (reserve.maximum_output_tokens, reserve.thinking_tokens) == (None, 20_000)
    assert upstream.requests[0].json == chat() | fields


async def test_what_the_prompt_may_grow_by_is_held(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    """A top-level system prompt, and a field that no list knows: both are forwarded, so both may be read."""
    words = "palavra " * 5_000
    for more in ({"system": words}, {"brand_new": words}):
        assert (await ask(gateway.port, chat() | more)).status == 200
        assert upstream.requests[-1].json == chat() | more
        assert ledger.reserves[-1].prompt_tokens > 5_000


async def test_upstream_gets_its_own_key_and_the_join_keys_and_nothing_of_the_person(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    sent = {
        "x-user-email": "ana@example.com",
        "x-conversation-id": "c-1",
        "x-api-key": KEY,
        "cookie": "session=1",
        "x-litellm-tags": "spoofed",
        "x-litellm-call-id": "spoofed",
        "connection": "keep-alive, x-hop",
        "x-hop": "1",
        "user-agent": "LibreChat",
        "openai-organization": "org",
        "traceparent": "00-1",
    }
    reply = await ask(gateway.port, chat(), sent)
    got = upstream.requests[0].headers
    assert got["authorization"] == "Bearer sk-upstream-secret"
    assert got["x-litellm-call-id"] == reply.headers["x-solaris-request-id"]
    assert got["x-litellm-end-user-id"] == "ana"
    assert (got["user-agent"], got["openai-organization"], got["traceparent"]) == ("LibreChat", "org", "00-1")
    for name in ("x-user-id", "x-user-email", "x-conversation-id", "x-api-key", "cookie", "x-litellm-tags", "x-hop"):
        assert name not in got


@pytest.mark.parametrize(
    "written",
    [
        ("gpt-4o", {}, {"max_tokens": 123}),
        ("claude-sonnet-4-5", {}, {"max_tokens": 123}),
        ("o3-mini", {}, {"max_completion_tokens": 123}),
        ("openai/gpt-5-mini", {}, {"max_completion_tokens": 123}),
        ("gpt-4o", {"max_completion_tokens": 500}, {"max_completion_tokens": 123}),
        ("o3", {"max_tokens": 500}, {"max_tokens": 123}),
        (
            "gpt-4o",
            {"max_tokens": 500, "max_completion_tokens": 900},
            {"max_tokens": 123, "max_completion_tokens": 123},
        ),
    ],
)
async def test_clamp_is_written_as_the_client_or_the_model_names_it(
    gateway: GatewayProcess,
    ledger: ScriptedLedger,
    upstream: ScriptedUpstream,
    written: tuple[str, dict[str, int], dict[str, int]],
) -> None:
    model, asked, forwarded = written
    ledger.decide = lambda reserve: grant(reserve, output_tokens=123, write_maximum=True)
    reply = await ask(gateway.port, chat(model=model) | asked)
    assert reply.status == 200
    assert upstream.requests[0].json == chat(model=model) | forwarded
    assert ledger.reserves[0].maximum_output_tokens == (max(asked.values()) if asked else None)


async def test_call_without_usage_is_estimated(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def without(request: Request, responder: Responder) -> None:
        await responder.reply(200, completion("one two three four five", usage=None))

    upstream.handle = without
    reply = await ask(gateway.port, chat())
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.usage_source, record.outcome) == (UsageSource.ESTIMATED, Outcome.COMPLETED)
    assert record.usage.prompt_tokens == record.estimated_prompt_tokens
    assert record.usage.completion_tokens == 5


async def test_stream_without_usage_is_estimated(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def without(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        for word in ("one", " two", " three", " four"):
            await responder.event(chunk(word))
        await responder.end_stream()

    upstream.handle = without
    reply = await ask(gateway.port, chat(stream=True))
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.usage_source, record.outcome) == (UsageSource.ESTIMATED, Outcome.COMPLETED)
    assert record.usage.completion_tokens == 4


async def test_explicit_zero_usage_stays_zero(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def zero(request: Request, responder: Responder) -> None:
        await responder.reply(200, completion(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}))

    upstream.handle = zero
    reply = await ask(gateway.port, chat())
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.usage, record.usage_source) == (TokenUsage(), UsageSource.PROVIDER)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": 9},
        {"prompt_tokens": 2**60, "completion_tokens": 9},
        {"prompt_tokens": "many", "completion_tokens": 9},
        [],
    ],
)
async def test_lying_usage_counts_as_none(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, usage: Any
) -> None:
    async def lie(request: Request, responder: Responder) -> None:
        await responder.reply(200, completion(usage=usage))

    upstream.handle = lie
    reply = await ask(gateway.port, chat())
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert record.usage_source is UsageSource.ESTIMATED


async def test_model_maximum_of_the_upstream_is_told_to_the_ledger(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, tmp_path: Path, nats_url: str
) -> None:
    upstream.model_info = {"data": [{"model_name": "gpt-4o", "model_info": {"max_output_tokens": 16384}}, 7]}
    try:
        async with running_gateway(tmp_path / "other", nats_url, upstream.url) as other:

            async def known() -> bool:
                await ask(other.port, chat())
                return ledger.reserves[-1].model_output_tokens == 16384

            await eventually(known)
    finally:
        upstream.model_info = None


async def test_official_client_streams_and_completes(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async with AsyncOpenAI(
        base_url=f"http://127.0.0.1:{gateway.port}/v1",
        api_key=KEY,
        max_retries=0,
        timeout=10,
        default_headers={"X-User-Id": "ana"},
    ) as client:
        whole = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Say hello"}]
        )
        assert whole.choices[0].message.content == "Hello there"
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Say hello"}], stream=True
        )
        text = "".join([event.choices[0].delta.content or "" async for event in stream])
        assert text == "Hello there"
        models = await client.models.list()
        assert [model.id for model in models.data] == ["gpt-4o"]


async def test_a_body_is_json_to_the_upstream_whatever_the_client_called_it(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    assert (await ask(gateway.port, chat(), {"content-type": "application/x-www-form-urlencoded"})).status == 200
    assert upstream.requests[0].headers["content-type"] == "application/json"
