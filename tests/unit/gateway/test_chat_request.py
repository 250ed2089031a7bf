"""What is read from a body, and which bodies are refused."""

import json
from typing import Any

import pytest
from gateway.domain.chat_request import MAX_DEPTH, parse_chat_request
from gateway.domain.errors import InvalidRequestError
from gateway.domain.forwarded_body import forwarded_body, to_write
from gateway.domain.model_quirks import Quirks
from hypothesis import given
from hypothesis import strategies as st

MESSAGES = [{"role": "user", "content": "hi"}]


def encoded(**fields: Any) -> bytes:
    return json.dumps({"model": "gpt-4o", "messages": MESSAGES} | fields).encode()


def values_of(leaves: st.SearchStrategy[Any], names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
        max_leaves=12,
    )


scalars = st.one_of(st.none(), st.booleans(), st.integers())
json_values = values_of(st.one_of(scalars, st.floats(), st.text(max_size=8)), st.text(max_size=6))
clean_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)
no_limits = clean_text.map("x-{}".format)
clean_values = values_of(st.one_of(scalars, finite, clean_text), no_limits)
named_values = st.dictionaries(
    st.sampled_from(["model", "messages", "stream", "stream_options", "n", "max_tokens", "user", "tools"]), json_values
)


@given(named_values)
def test_any_json_is_read_or_refused_and_never_fails_otherwise(fields: dict[str, Any]) -> None:
    body = json.dumps({"model": "gpt-4o", "messages": MESSAGES} | fields).encode()
    try:
        request = parse_chat_request(body)
    except InvalidRequestError as error:
        assert error.message
        return
    assert 1 <= request.choices <= 16
    assert request.maximum_output_tokens is None or request.maximum_output_tokens >= 1
    assert request.model
    assert request.messages


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        parse_chat_request(body)


def test_nulls_are_absent() -> None:
    request = parse_chat_request(encoded(n=None, max_tokens=None, stream=None, stream_options=None, user=None))
    assert (request.choices, request.maximum_output_tokens, request.stream, request.user) == (1, None, False, None)


def test_the_larger_of_two_maxima_counts_whichever_way_round() -> None:
    assert parse_chat_request(encoded(max_tokens=9, max_completion_tokens=7)).maximum_output_tokens == 9
    assert parse_chat_request(encoded(max_tokens=7, max_completion_tokens=9)).maximum_output_tokens == 9


ODD_MAXIMA = [
    *("max_length", "max_decode_tokens", "MAX_TOKENS", "max-tokens", "maximum_tokens", "tokens_to_generate"),
    *("maxGenLen", "max_response_output_tokens", "output_tokens", "token_limit", "maxlen", "nPredict"),
]


@pytest.mark.parametrize(
    ("fields", "largest", "choices"),
    [
        ({"max_tokens": 1, "options": {"num_predict": 4_000}}, 4_000, 1),
        ({"max_tokens": 1, "generationConfig": {"maxOutputTokens": 4_000, "candidateCount": 3}}, 4_000, 3),
        ({"max_tokens": 100, "thinking": {"type": "enabled", "budget_tokens": 2_000}}, 2_100, 1),
        ({"max_tokens": 100, "thinking_budget": 2_000}, 2_100, 1),
        ({"max_tokens": 100, "reasoning": {"max_tokens": 2_000}}, 2_100, 1),
        ({"thinking": {"type": "enabled", "budget_tokens": 2_000}}, None, 1),
        ({"max_tokens": 10, "n": 2, "best_of": 5}, 10, 5),
        ({"max_tokens": 1, "provider": {"max_tokens": 50_000}}, 50_000, 1),
        ({"max_tokens": 1, "output_config": {"max_output_tokens": 50_000}}, 50_000, 1),
        ({"max_tokens": 1, "brand_new": [{"deep": {"MaxTokens": 50_000, "best_of": 7}}]}, 50_000, 7),
        ({"max_tokens": 1, "brand_new": {"reasoning": {"max_tokens": 50_000}}}, 50_001, 1),
        ({"max_tokens": 1, "brand_new": {"a": {"thinking_budget": 5}, "b": {"budget_tokens": 6}}}, 12, 1),
        *(({"max_tokens": 1, name: 50_000}, 50_000, 1) for name in ODD_MAXIMA),
        *(({"max_tokens": 1, name: 50_000}, 50_001, 1) for name in ("thinking_tokens", "reasoning_tokens", "thinkMax")),
        *(({"max_tokens": 1, name: 9}, 1, 9) for name in ("num_samples", "num_completions", "bestOf", "sampleCount")),
        # Words of schemas and texts, and bounds of what is read.
        ({"max_tokens": 1, "tools": [{"max_tokens": 9}], "guided_json": {"max_tokens": 9}}, 1, 1),
        ({"max_tokens": 1, "response_format": {"maxLength": 9, "n": 9}, "metadata": {"max_tokens": 9}}, 1, 1),
        ({"max_tokens": 1, "max_input_tokens": 9, "min_new_tokens": 9, "max_results": 9, "thinking": True}, 1, 1),
    ],
)
def test_every_maximum_budget_and_number_of_choices_counts(
    fields: dict[str, Any], largest: int | None, choices: int
) -> None:
    request = parse_chat_request(encoded(**fields))
    assert (request.maximum_output_tokens, request.choices) == (largest, choices)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": "50000"},
        {"max_output_tokens": 1.5},
        {"options": {"num_predict": -1}},
        {"options": {"num_predict": "9"}},
        {"best_of": 17},
        {"thinking": {"budget_tokens": -5}},
        {"max_length": -1},
        {"max_length": "50000"},
        {"provider": {"max_tokens": 5e4}},
        {"brand_new": {"n": 17}},
    ],
)
def test_a_maximum_that_is_no_number_of_tokens_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        parse_chat_request(encoded(**fields))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"fallbacks": ["opus"]}, "fallbacks"),
        ({"additional_drop_params": ["max_tokens"]}, "additional_drop_params"),
        ({"drop_params": True}, "drop_params"),
        ({"allowed_openai_params": ["x"]}, "allowed_openai_params"),
        ({"extra_body": {"max_tokens": 64_000, "n": 9}}, "extra_body"),
        ({"extra_headers": {"x": "y"}}, "extra_headers"),
        ({"api_base": "http://elsewhere"}, "api_base"),
        ({"api_key": "sk"}, "api_key"),
        ({"model_list": []}, "model_list"),
        ({"mock_response": "free"}, "mock_response"),
        ({"num_retries": 9}, "num_retries"),
        ({"litellm_anything_new": 1}, "litellm_anything_new"),
        ({"cache": {"no-cache": True}}, "cache"),
        ({"no-log": True}, "no-log"),
        ({"models": ["dear"]}, "models"),
        ({"input_cost_per_token": 0}, "input_cost_per_token"),
        ({"aws_bedrock_runtime_endpoint": "x"}, "aws_bedrock_runtime_endpoint"),
        ({"metadata": {"tags": ["paid"]}}, "metadata.tags"),
        ({"parameters": {"fallbacks": ["opus"]}}, "parameters.fallbacks"),
        ({"fallbacks": None}, "fallbacks"),
    ],
)
def test_what_would_move_the_call_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_chat_request(encoded(**fields))
    assert refused.value.param == param


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_effort": "high"},
        {"thinking": {"type": "enabled", "budget_tokens": 1_024}, "max_tokens": 2_000},
        {"provider": {"order": ["a"], "allow_fallbacks": False}},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"safety_settings": [{"category": "x"}]},
        {"guided_json": {"type": "object"}},
        {"metadata": {"session": "s-1"}},
        {"service_tier": "auto"},
        {"user": 12345},
    ],
)
def test_what_people_use_is_forwarded_as_it_came(fields: dict[str, Any]) -> None:
    request = parse_chat_request(encoded(**fields), refuse_unknown=True)
    assert request.unknown_fields == ()
    assert json.loads(forwarded(encoded(**fields))) == json.loads(encoded(**fields))


def test_a_field_that_no_list_knows_is_named_and_refused_where_that_is_wanted() -> None:
    body = encoded(brand_new=1)
    assert parse_chat_request(body).unknown_fields == ("brand_new",)
    with pytest.raises(InvalidRequestError) as refused:
        parse_chat_request(body, refuse_unknown=True)
    assert refused.value.param == "brand_new"


def test_half_of_a_cut_character_is_mended_and_whole_ones_stay() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"cut \\ud83d, whole \\ud83d\\ude00, text \\\\ud83d"}]}'
    (message,) = parse_chat_request(body).messages
    assert message["content"] == "cut \ufffd, whole \U0001f600, text \\ud83d"


def test_nesting_up_to_the_limit_is_fine_and_one_more_is_not() -> None:
    def nested(levels: int) -> bytes:
        tools = b"[" * levels + b"]" * levels
        return encoded()[:-1] + b',"tools":' + tools + b"}"

    assert parse_chat_request(nested(MAX_DEPTH - 1))
    with pytest.raises(InvalidRequestError, match="nested"):
        parse_chat_request(nested(MAX_DEPTH))


def test_a_zero_byte_in_a_prompt_is_forwarded_and_in_a_model_s_name_refused() -> None:
    content = [{"role": "user", "content": "page\x001"}]
    body = encoded(messages=content)
    assert json.loads(forwarded(body))["messages"] == content
    with pytest.raises(InvalidRequestError, match="plain"):
        parse_chat_request(encoded(model="a\0"))


def forwarded(body: bytes, maximum: int | None = None) -> bytes:
    request = parse_chat_request(body)
    return forwarded_body(request, to_write(request, Quirks(), "max_tokens", maximum))


def test_untouched_values_and_their_order_stay() -> None:
    body = b' {"model" : "gpt-4o","messages":[{"role":"user","content":"\\u00e9"}], "x":1e5}\n'
    assert json.loads(forwarded(body)) == json.loads(body)
    assert list(json.loads(forwarded(body))) == ["model", "messages", "x"]


def test_new_fields_are_written_behind_the_client_s_own() -> None:
    body = encoded(stream=True)
    assert json.loads(forwarded(body, 50)) == json.loads(body) | {
        "max_tokens": 50,
        "stream_options": {"include_usage": True},
    }


def test_a_name_that_stands_twice_means_to_the_upstream_what_it_meant_here() -> None:
    for body in (
        encoded()[:-1] + b',"max_tokens":50000,"max_tokens":9}',
        encoded()[:-1] + b',"max\\u005ftokens":50000,"max_tokens":9}',
    ):
        assert parse_chat_request(body).maximum_output_tokens == 9
        assert forwarded(body).count(b"50000") == 0


def test_a_clamp_leaves_no_larger_maximum_and_no_budget_anywhere() -> None:
    fields = {
        "max_tokens": 1,
        "max_completion_tokens": 900,
        "options": {"num_predict": 900, "num_ctx": 4_096},
        "generationConfig": {"maxOutputTokens": 20, "thinkingConfig": {"thinkingBudget": 800}},
        "thinking": {"type": "enabled", "budget_tokens": 700},
    }
    written = json.loads(forwarded(encoded(**fields), 50))
    assert {name: written[name] for name in fields if name in written} == {
        "max_tokens": 50,
        "max_completion_tokens": 50,
        "options": {"num_predict": 50, "num_ctx": 4_096},
        "generationConfig": {"maxOutputTokens": 20, "thinkingConfig": {}},
    }


def test_a_clamp_reaches_what_lies_deep_and_what_only_looks_like_a_maximum() -> None:
    fields = {
        "max_length": 900,
        "num_samples": 2,
        "thinking_tokens": 700,
        "provider": {"max_tokens": 900, "order": ["a", None]},
        "brand_new": [{"maxTokens": 900}, {"reasoning": {"max_tokens": 900, "effort": "low"}}, None, 7],
        "guided_json": {"max_tokens": 900},
    }
    written = json.loads(forwarded(encoded(**fields), 50))
    assert written == json.loads(encoded()) | {
        "max_length": 50,
        "num_samples": 2,
        "provider": {"max_tokens": 50, "order": ["a", None]},
        "brand_new": [{"maxTokens": 50}, {"reasoning": {"effort": "low"}}, None, 7],
        "guided_json": {"max_tokens": 900},
        "max_tokens": 50,
    }


@pytest.mark.parametrize(
    "fields", [{"n_predict": 5}, {"max_length": 5}, {"options": {"num_predict": 5}}, {"max_tokens": {}, "maxTokens": 5}]
)
def test_a_maximum_that_an_upstream_may_not_know_is_written_where_all_know_it(fields: dict[str, Any]) -> None:
    assert json.loads(forwarded(encoded(**fields)))["max_tokens"] == 5
    assert json.loads(forwarded(encoded(**fields), 3))["max_tokens"] == 3


@pytest.mark.parametrize(
    "fields",
    [
        {f"field-{number}": 1 for number in range(300)},
        {"metadata": {f"field-{number}": 1 for number in range(300)}},
        {"messages": [{"role": "user"} | {f"field-{number}": 1 for number in range(300)}]},
        {"messages": [{"role": "user", "content": [{f"field-{number}": 1 for number in range(300)}]}]},
        {"options": {f"field-{number}": 1 for number in range(5_000)}},
        {"brand_new": [{f"field-{number}": 1} for number in range(5_000)]},
    ],
)
def test_more_fields_than_any_client_sends_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=r"at most|too many"):
        parse_chat_request(encoded(**fields))


def test_given_fields_are_replaced_and_all_others_keep_their_values() -> None:
    fields = {
        "stream": True,
        "stream_options": {"x": 1, "include_usage": False},
        "max_completion_tokens": 900,
        "top_p": 0.1,
    }
    written = json.loads(forwarded(encoded(**fields), 50))
    assert written == json.loads(encoded(**fields)) | {
        "stream_options": {"x": 1, "include_usage": True},
        "max_completion_tokens": 50,
    }


def test_null_fields_are_replaced_not_repeated() -> None:
    written = forwarded(encoded(stream=True, stream_options=None, max_tokens=None), 50)
    assert written.count(b'"stream_options"') == 1
    assert written.count(b'"max_tokens"') == 1
    assert json.loads(written)["max_tokens"] == 50


def test_numbers_of_any_length_keep_their_value() -> None:
    body = encoded()[:-1] + b',"max_tokens":9,"seed":123456789012345678901234567890}'
    assert json.loads(forwarded(body, 5))["seed"] == 123456789012345678901234567890


@given(st.dictionaries(no_limits, clean_values, max_size=4))
def test_rewriting_changes_nothing_but_what_is_written(extra: dict[str, Any]) -> None:
    written = json.loads(forwarded(encoded(max_tokens=9, **extra), 5))
    assert written == json.loads(encoded(max_tokens=5, **extra))
