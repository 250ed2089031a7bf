"""What LiteLLM tells is read call by call, and what can't be meant is refused without taking the others along."""

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ledger.reconciliation.litellm_payloads import Batch, UnreadableError, read_batch, read_rows
from ledger.store.reconciliation.rows import Tokens

from tests.support.litellm_payloads import payload

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def read(body: object) -> Batch:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_batch(encoded, NOW, NOW - timedelta(days=400))


def told(call_id: str = "c", **fields: Any) -> dict[str, Any]:
    return payload(call_id, started_at=fields.pop("started_at", NOW), **fields)


def test_a_call_is_read_with_its_classes_cost_and_times() -> None:
    (call,) = read([told("call-1", prompt=1_000, completion=50, cached=200, reasoning=9, response_cost=0.0011)]).calls
    assert (call.call_id, call.account_id, call.model) == ("call-1", "ana", "gpt-4o")
    assert call.tokens == Tokens(prompt=1_000, completion=50, cached_prompt=200, cache_write=0, reasoning=9)
    assert (call.cost_usd_micros, call.failed, call.cached) == (1_100, False, False)
    assert (call.started_at, call.ended_at) == (NOW, NOW + timedelta(seconds=0.75))


def test_nothing_of_what_was_said_is_kept() -> None:
    secret = "meu CPF é 111"
    batch = read([told(messages=[{"role": "user", "content": secret}], response={"text": secret}, error_str=secret)])
    assert secret not in repr(batch)


@pytest.mark.parametrize(
    "body",
    [
        lambda calls: json.dumps(calls).encode(),
        lambda calls: b"\n".join(json.dumps(each).encode() for each in calls),
        lambda calls: json.dumps(calls, indent=2).encode(),
    ],
)
def test_an_array_and_an_object_a_line_say_the_same(body: Any) -> None:
    batch = read(body([told("a"), told("b")]))
    assert [call.call_id for call in batch.calls] == ["a", "b"]
    assert not batch.refused


def test_one_object_alone_is_a_call() -> None:
    assert len(read(told("a")).calls) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt_tokens", -1),
        ("prompt_tokens", float("nan")),
        ("completion_tokens", float("inf")),
        ("completion_tokens", 10**12),
        ("completion_tokens", 1.5),
        ("response_cost", -0.01),
        ("response_cost", float("nan")),
        ("response_cost", 1e300),
        ("startTime", float("nan")),
        ("startTime", 0.0),
        ("startTime", 1e18),
        ("startTime", "yesterday"),
        ("startTime", None),
        ("endTime", -1e300),
        ("litellm_call_id", 7),
    ],
)
def test_what_can_not_be_is_refused_and_the_others_are_read(field: str, value: object) -> None:
    batch = read([told("a"), told("b") | {field: value}, told("c")])
    assert [call.call_id for call in batch.calls] == ["a", "c"]
    assert len(batch.refused) == 1


@pytest.mark.parametrize("figure", [-5, 10**400], ids=["below_zero", "huge"])
@pytest.mark.parametrize("written", [lambda metadata: metadata, json.dumps])
def test_figures_of_classes_that_can_not_be_are_refused_too(figure: int, written: Any) -> None:
    usage = {"usage_object": {"prompt_tokens_details": {"cached_tokens": figure}}}
    batch = read([told("a", metadata=written(usage)), told("b")])
    assert ([call.call_id for call in batch.calls], len(batch.refused)) == (["b"], 1)


@pytest.mark.parametrize("body", [b"", b"  ", b"[1, 2", b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused_whole(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * 3_000_000 + b"1]",
        b"1\n" * 3_000_000,
        b'[{"startTime": 1, "metadata": [' + b"[]," * 3_000_000 + b"[]]}]",
        b'{"startTime": 1, "metadata": ' + b"[" + b"{}," * 3_000_000 + b"NaN]}",
    ],
    ids=["calls", "lines", "lists", "objects"],
)
def test_a_small_body_that_is_much_once_it_is_read_is_not_read(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError):
            read(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(body)


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"call=1", b'"' + b"x" * 10_000])
def test_a_line_that_is_no_json_is_a_call_that_is_refused(body: bytes) -> None:
    batch = read(body)
    assert (len(batch.calls), len(batch.refused)) == (0, 1)


@pytest.mark.parametrize("item", [None, 7, "x", [], {}])
def test_what_is_no_call_is_no_call(item: object) -> None:
    batch = read([item, told("a")])
    assert (len(batch.calls), len(batch.refused)) == (1, 1)


def test_an_end_user_that_can_be_no_account_is_not_kept() -> None:
    calls = read([told("a", account_id="ana@example.com"), told("b", account_id=""), told("c", end_user=None)]).calls
    assert [call.account_id for call in calls] == ["", "", ""]


def test_a_call_id_that_can_be_none_of_ours_is_named_by_a_digest() -> None:
    first, second, third = read([told("x y"), told("x" * 200), told("x y")]).calls
    assert first.call_id == third.call_id != second.call_id
    assert first.call_id.startswith("other:")


def test_an_answer_of_litellms_own_cache_and_a_failure_are_known() -> None:
    cached, failed = read([told("a", cache_hit=True, prompt=5), told("b", status="failure")]).calls
    assert (cached.cached, cached.tokens.total, failed.failed) == (True, 5, True)


def test_classes_that_are_not_told_are_unknown_and_not_none() -> None:
    (call,) = read([told("a", prompt=5, metadata={"usage_object": {}})]).calls
    assert call.tokens == Tokens(prompt=5)


def test_a_row_of_its_own_log_says_the_same() -> None:
    row = {
        "request_id": "chatcmpl-1",
        "litellm_call_id": "call-1",
        "startTime": "2026-11-26T11:00:00.250000Z",
        "endTime": "2026-11-26T11:00:02",
        "model": "openai/gpt-4o",
        "model_group": "gpt-4o",
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "spend": 0.00002,
        "end_user": "ana",
        "cache_hit": "None",
        "status": "success",
        "metadata": json.dumps({"usage_object": {"prompt_tokens_details": {"cached_tokens": 4}}}),
    }
    (call,) = read_rows([row], NOW, NOW - timedelta(days=1)).calls
    assert (call.call_id, call.cost_usd_micros, call.cached) == ("call-1", 20, False)
    assert call.tokens == Tokens(10, 2, 4, 0)
    assert call.started_at == datetime(2026, 11, 26, 11, 0, 0, 250_000, tzinfo=UTC)
