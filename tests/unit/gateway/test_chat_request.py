"""What is read from a body, and which bodies are refused."""

import json
from typing import Any

import pytest
from gateway.domain.chat_request import MAX_DEPTH, parse_chat_request
from gateway.domain.errors import InvalidRequestError
from gateway.domain.forwarded_body import forwarded_body
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
clean_values = values_of(st.one_of(scalars, finite, clean_text), clean_text)
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


def test_smaller_of_two_maxima_counts() -> None:
    assert parse_chat_request(encoded(max_tokens=9, max_completion_tokens=7)).maximum_output_tokens == 7


def test_nesting_up_to_the_limit_is_fine_and_one_more_is_not() -> None:
    def nested(levels: int) -> bytes:
        tools = b"[" * levels + b"]" * levels
        return encoded()[:-1] + b',"tools":' + tools + b"}"

    assert parse_chat_request(nested(MAX_DEPTH - 1))
    with pytest.raises(InvalidRequestError, match="nested"):
        parse_chat_request(nested(MAX_DEPTH))


def test_escaped_backslash_before_u0000_is_no_nul() -> None:
    content = [{"role": "user", "content": "the text \\u0000 in code"}]
    assert parse_chat_request(encoded(messages=content)).messages == content
    for fields in ({"messages": [{"role": "user", "content": "a\0"}]}, {"tools": [{"a\0": 1}]}, {"user": "\0"}):
        with pytest.raises(InvalidRequestError, match="NUL"):
            parse_chat_request(encoded(**fields))


def forwarded(body: bytes, maximum: int | None = None, *, changed: bool = False) -> bytes:
    request = parse_chat_request(body)
    return forwarded_body(request, messages_changed=changed, maximum_output_tokens=maximum, maximum_name="max_tokens")


def test_untouched_body_keeps_its_bytes() -> None:
    body = b' {"model" : "gpt-4o","messages":[{"role":"user","content":"\\u00e9"}], "x":1e5}\n'
    assert forwarded(body) == body


def test_new_fields_are_written_behind_the_clients_own_bytes() -> None:
    body = b'{"model" : "gpt-4o","messages":[{"role":"user","content":"\\u00e9}"}], "stream":true }\r\n'
    written = forwarded(body, 50)
    assert written.startswith(body.rstrip()[:-1])
    assert json.loads(written) == json.loads(body) | {"max_tokens": 50, "stream_options": {"include_usage": True}}


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


def test_numbers_of_any_length_are_written_as_they_came() -> None:
    body = encoded()[:-1] + b',"max_tokens":9,"seed":123456789012345678901234567890}'
    assert forwarded(body) == body
    assert json.loads(forwarded(body, 5))["seed"] == 123456789012345678901234567890


@given(st.dictionaries(clean_text.map("x-{}".format), clean_values, max_size=4))
def test_rewriting_changes_nothing_but_what_is_written(extra: dict[str, Any]) -> None:
    written = json.loads(forwarded(encoded(max_tokens=9, **extra), 5))
    assert written == json.loads(encoded(max_tokens=5, **extra))
