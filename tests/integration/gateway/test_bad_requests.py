"""Requests that can't be served, whoever sends them: who calls, what the body says, where it is sent."""

import asyncio
from typing import Any

import pytest

from tests.integration.gateway.gateway_process import GatewayProcess
from tests.integration.gateway.raw_http import KEY, Connection, ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger
from tests.integration.gateway.scripted_upstream import ScriptedUpstream

PATH = "/v1/chat/completions"


@pytest.mark.parametrize(
    "headers", [{"authorization": None}, {"authorization": "Bearer sk-wrong"}, {"authorization": "x"}]
)
async def test_missing_or_unknown_key_is_401(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, headers: dict[str, Any]
) -> None:
    for path, method in ((PATH, "POST"), ("/v1/models", "GET")):
        reply = await ask(gateway.port, chat(), headers, path=path, method=method)
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
    assert not ledger.reserves
    assert not upstream.requests


async def test_key_is_accepted_in_anthropics_header_and_every_listed_key_is_valid(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    assert (await ask(gateway.port, chat(), {"authorization": None, "x-api-key": KEY})).status == 200
    assert (await ask(gateway.port, chat(), {"authorization": "Bearer sk-another-service-key"})).status == 200
    first, second = ledger.reserves
    assert first.key_id != second.key_id
    assert KEY not in first.key_id


async def test_user_comes_from_the_header_else_from_the_body(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    for headers, user, account in (
        ({"x-user-id": "ana"}, "other", "ana"),
        ({"x-user-id": ""}, "other", "other"),
        ({"x-user-id": "{{LIBRECHAT_USER_ID}}"}, "other", "other"),
        ({"x-user-id": "b64:YW5h"}, None, "ana"),
    ):
        await ask(gateway.port, chat(user=user), headers)
        assert ledger.reserves[-1].account_id == account
    for nobody in (None, "librechat-{{LIBRECHAT_USER_ID}}"):  # a placeholder that nobody filled in is no name for all
        reply = await ask(gateway.port, chat(), {"x-user-id": nobody})
        assert (reply.status, reply.error["code"]) == (400, "missing_user")


async def test_illegal_user_id_becomes_the_same_pseudonym_every_time(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    for headers in (
        {"x-user-id": "b64:YW5hQGV4YW1wbGUuY29t"},
        {"x-user-id": "ana@example.com"},
        {"x-user-id": "other@x"},
    ):
        await ask(gateway.port, chat(), headers)
    first, same, other = (reserve.account_id for reserve in ledger.reserves)
    assert first == same != other
    assert first.startswith("p-")
    assert "ana" not in first


async def test_a_person_is_one_account_by_header_in_utf_8_in_latin_1_and_by_body(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    as_utf_8 = "conceição".encode().decode("latin-1")  # headers are sent byte by byte
    for headers in ({"x-user-id": as_utf_8}, {"x-user-id": "conceição"}, {"x-user-id": None}):
        assert (await ask(gateway.port, chat(user="conceição"), headers)).status == 200
    assert len({reserve.account_id for reserve in ledger.reserves}) == 1
    assert [reserve.profile and reserve.profile.user_id for reserve in ledger.reserves] == ["conceição"] * 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"null",
        b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"temperature":NaN}',
        b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"max_tokens":1e400}',
        b'{"model":"gpt-4o\\u0000","messages":[{"role":"user","content":"a"}]}',
        b'{"model":"gpt-4o","messages":[{"role":"user","content":"\xff"}]}',
        b'{"model":"gpt-4o","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"tools":' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"seed":1' + b"0" * 5000 + b"}",
        {"model": "gpt-4o"},
        {"model": "gpt-4o", "messages": []},
        {"model": "gpt-4o", "messages": {}},
        {"model": "gpt-4o", "messages": ["x"]},
        {"model": "gpt-4o", "messages": [{"content": "x"}]},
        {"model": "gpt-4o", "messages": [{"role": "user", "content": 7}]},
        {"model": "gpt-4o", "messages": [{"role": "user", "content": [7]}]},
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}] * 1_000_000},
        {"messages": [{"role": "user", "content": "x"}]},
        chat(model=""),
        chat(model=7),
        chat(model="m" * 300),
        chat(n=0),
        chat(n=-1),
        chat(n=1000),
        chat(n=1.5),
        chat(n=True),
        chat(max_tokens=-1),
        chat(max_tokens=0),
        chat(max_tokens=10**30),
        chat(max_tokens=1e30),
        chat(max_tokens="100"),
        chat(max_tokens=1.5),
        chat(max_completion_tokens=-5),
        chat(stream="yes"),
        chat(stream=True, stream_options=[]),
        chat(stream=True, stream_options={"include_usage": 1}),
        chat(fallbacks=["opus"]),
        chat(additional_drop_params=["max_tokens"]),
        chat(extra_body={"max_tokens": 64_000, "n": 9}),
        chat(api_base="http://127.0.0.1:1"),
        chat(max_tokens="50000"),
    ],
    ids=lambda body: str(body)[:60],
)
async def test_absurd_request_is_400_and_leaves_no_hold(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, body: Any
) -> None:
    reply = await ask(gateway.port, body, {"x-user-id": "ana"})
    assert reply.status in {400, 413}
    assert reply.error["code"] == "invalid_request"
    assert reply.error["type"] == "invalid_request_error"
    assert reply.error["message"]
    assert not ledger.reserves
    assert not upstream.requests


async def test_broken_http_is_400_in_the_same_shape(gateway: GatewayProcess, ledger: ScriptedLedger) -> None:
    connection = await Connection.open(gateway.port)
    connection.writer.write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}")
    reply = await asyncio.wait_for(connection.read_reply(), 5)
    connection.leave()
    assert (reply.status, reply.error["code"]) == (400, "invalid_request")


async def test_two_users_in_one_request_are_refused(gateway: GatewayProcess, ledger: ScriptedLedger) -> None:
    reply = await ask(gateway.port, chat(), {"x-user-id": "ana", "X-USER-ID": "bob"})
    assert (reply.status, reply.error["code"]) == (400, "invalid_request")
    assert ledger.reserves == []


async def test_body_over_the_limit_is_413_before_it_is_read(gateway: GatewayProcess, ledger: ScriptedLedger) -> None:
    connection = await Connection.open(gateway.port)
    await connection.send(b"", {"content-length": str(21 * 2**20)}, path=PATH)
    reply = await asyncio.wait_for(connection.read_reply(), 5)
    connection.leave()
    assert (reply.status, reply.error["code"]) == (413, "invalid_request")


async def test_chunked_body_over_the_limit_is_413(gateway: GatewayProcess, ledger: ScriptedLedger) -> None:
    connection = await Connection.open(gateway.port)
    await connection.send(b"", {"content-length": None, "transfer-encoding": "chunked"}, path=PATH)  # type: ignore[dict-item]

    async def push() -> None:
        piece = b"%x\r\n%s\r\n" % (2**20, b" " * 2**20)
        for _ in range(22):
            connection.writer.write(piece)
            await connection.writer.drain()

    pushing = asyncio.create_task(push())
    reply = await asyncio.wait_for(connection.read_reply(), 15)
    pushing.cancel()
    await asyncio.gather(pushing, return_exceptions=True)
    connection.leave()
    assert reply.status == 413


async def test_body_of_twenty_mebibytes_is_served(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    body = chat("")
    body["messages"][0]["content"] = "word " * ((20 * 2**20 - 200) // 5)
    reply = await ask(gateway.port, body, timeout_seconds=60)
    assert reply.status == 200
    assert ledger.reserves[0].prompt_tokens >= 20 * 2**20 // 5 - 200
    assert len(upstream.requests[0].body) > 20 * 2**20 - 300


@pytest.mark.parametrize(
    "path",
    [
        "/v1/completions",
        "/v1/embeddings",
        "/v1/responses",
        "/v1/messages",
        "/v1/audio/speech",
        "/",
        "/v1/chat/completions/",
    ],
)
async def test_other_paths_are_404_and_reach_nobody(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, path: str
) -> None:
    reply = await ask(gateway.port, chat(), path=path)
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert upstream.requests == []


async def test_wrong_method_is_405(gateway: GatewayProcess) -> None:
    assert (await ask(gateway.port, path=PATH, method="GET")).status == 405


async def test_endless_headers_are_refused(gateway: GatewayProcess) -> None:
    connection = await Connection.open(gateway.port)
    connection.writer.write(b"POST /v1/chat/completions HTTP/1.1\r\n")
    for number in range(17):
        connection.writer.write(b"x-%d: %s\r\n" % (number, b"y" * 4000))
        await connection.writer.drain()
    reply = await asyncio.wait_for(connection.read_reply(), 5)
    connection.leave()
    assert (reply.status, reply.error["code"]) == (400, "invalid_request")


async def test_a_body_of_endless_lists_is_refused_while_health_is_answered(gateway: GatewayProcess) -> None:
    lists = b",".join([b"[]"] * 6_000_000)
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"x":[' + lists + b"]}"
    refused = asyncio.create_task(ask(gateway.port, body, timeout_seconds=60))
    while not refused.done():
        assert (await ask(gateway.port, path="/health/live", method="GET")).status == 200
    reply = await refused
    assert (reply.status, reply.error["code"]) == (400, "invalid_request")
