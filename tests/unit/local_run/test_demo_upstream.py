"""The demo upstream: behaviour by name, exact usage, OpenAI's shapes."""

import json
from typing import Any

import pytest
from local_run.demo_upstream.answers import as_chunks, as_object, compose
from local_run.demo_upstream.behaviour import Behaviour, ReportedUsage, behaviour_of
from local_run.demo_upstream.words import count_prompt_tokens

QUESTION = [{"role": "user", "content": "uma pergunta curta"}]
TOOL = {
    "type": "function",
    "function": {"name": "clima", "parameters": {"type": "object", "properties": {"cidade": {"type": "string"}}}},
}


def _answer(model: str, **request: Any) -> dict[str, Any]:
    full = {"model": model, "messages": QUESTION, **request}
    return as_object(compose(full, behaviour_of(model)))


def _chunks(model: str, *, include_usage: bool, **request: Any) -> list[Any]:
    full = {"model": model, "messages": QUESTION, **request}
    events = as_chunks(compose(full, behaviour_of(model)), include_usage=include_usage)
    data = [event.removeprefix(b"data: ").strip() for event in events]
    assert data[-1] == b"[DONE]"
    return [json.loads(item) for item in data[:-1]]


def test_behaviours_compose_in_any_order_and_by_either_sign() -> None:
    wanted = Behaviour(
        pace_ms=20,
        first_token_ms=0,
        words=50,
        cut=True,
        usage=ReportedUsage(prompt_tokens=1000, cached_tokens=200, completion_tokens=50),
    )
    assert behaviour_of("demo-usage:1000:200:50-pace:20-cut") == wanted
    assert behaviour_of("demo-pace:20-cut-usage:1000:200:50") == wanted
    assert behaviour_of("demo:usage:1000:200:50:pace:20:cut") == wanted


@pytest.mark.parametrize(
    "model", ["gpt-4o", "demo", "demo-unknown:7", "demo-usage:1:2", "demo-error:200", "demo-:::", ""]
)
def test_names_that_ask_for_nothing_behave_plainly(model: str) -> None:
    assert behaviour_of(model) == Behaviour()


def test_numbers_are_bounded() -> None:
    assert behaviour_of("demo-slow:" + "9" * 400).slow_ms == 10**9


@pytest.mark.parametrize(
    ("request_part", "completion", "finish_reason"),
    [
        ({}, 50, "stop"),
        ({"max_tokens": 50}, 50, "stop"),
        ({"max_tokens": 20}, 20, "length"),
        ({"max_completion_tokens": 7, "max_tokens": 20}, 7, "length"),
        ({"n": 2}, 50, "stop"),
        ({"n": 2, "max_tokens": 20}, 40, "length"),
    ],
)
def test_reported_usage_is_exact_and_cut_by_the_maximum(
    request_part: dict[str, int], completion: int, finish_reason: str
) -> None:
    answer = _answer("demo-usage:1000:200:50", **request_part)
    assert answer["usage"]["prompt_tokens"] == 1000
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 200
    assert answer["usage"]["completion_tokens"] == completion
    assert answer["usage"]["total_tokens"] == 1000 + completion
    assert {choice["finish_reason"] for choice in answer["choices"]} == {finish_reason}


def test_a_token_is_a_word_of_the_text_that_is_spoken() -> None:
    answer = _answer("demo-fast-words:9")
    assert len(answer["choices"][0]["message"]["content"].split()) == answer["usage"]["completion_tokens"] == 9
    assert answer["usage"]["prompt_tokens"] == 3 + 3 + 3


def test_the_same_question_gets_the_same_answer() -> None:
    assert _answer("demo-fast") == _answer("demo-fast")


def test_text_parts_of_a_message_are_counted_and_others_are_not() -> None:
    parts = [{"type": "text", "text": "duas palavras"}, {"type": "image_url", "image_url": {"url": "data:…"}}]
    assert count_prompt_tokens({"messages": [{"role": "user", "content": parts}]}) == 3 + 3 + 2


@pytest.mark.parametrize("messages", [None, "text", [None, 3, {"content": None}], [{"content": [None]}]])
def test_absurd_messages_are_counted_without_an_error(messages: object) -> None:
    assert count_prompt_tokens({"messages": messages}) >= 3


def test_usage_comes_in_a_chunk_without_choices_and_only_when_asked_for() -> None:
    asked = _chunks("demo-usage:10:0:3", include_usage=True)
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["total_tokens"] == 13
    assert all(chunk["usage"] is None for chunk in asked[:-1])
    assert all("usage" not in chunk for chunk in _chunks("demo-usage:10:0:3", include_usage=False))


def test_a_stream_speaks_the_same_text_as_the_whole_answer() -> None:
    spoken = "".join(
        chunk["choices"][0]["delta"].get("content", "") for chunk in _chunks("demo-fast", include_usage=False)
    )
    assert spoken == _answer("demo-fast")["choices"][0]["message"]["content"]


def test_a_long_stream_has_a_bounded_number_of_chunks() -> None:
    assert len(_chunks("demo-usage:1:0:1000000", include_usage=False)) <= 2_003


def test_nousage_tells_none_even_when_asked() -> None:
    assert "usage" not in _answer("demo-nousage")
    assert all(chunk.get("usage") is None for chunk in _chunks("demo-nousage", include_usage=True))


def test_the_first_tool_is_called_and_its_result_is_answered_in_words() -> None:
    call = _answer("demo-tools", tools=[TOOL])["choices"][0]
    assert call["finish_reason"] == "tool_calls"
    function = call["message"]["tool_calls"][0]["function"]
    assert function["name"] == "clima"
    assert json.loads(function["arguments"]) == {"cidade": "demo"}
    with_result = [*QUESTION, {"role": "tool", "tool_call_id": "call_demo_1", "content": "sol"}]
    answered = _answer("demo-tools", tools=[TOOL], messages=with_result)["choices"][0]
    assert answered["finish_reason"] == "stop"
    assert answered["message"]["content"]


def test_tool_arguments_arrive_whole_over_the_chunks_of_a_stream() -> None:
    deltas = [chunk["choices"][0]["delta"] for chunk in _chunks("demo-tools", include_usage=False, tools=[TOOL])]
    parts = [call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert json.loads("".join(parts)) == {"cidade": "demo"}


def test_reasoning_is_a_part_of_the_completion() -> None:
    usage = _answer("demo-reasoning", max_tokens=14)["usage"]
    assert usage["completion_tokens"] == 14
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 12
