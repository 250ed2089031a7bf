"""Bodies that would take long to decode are refused before they are; long conversations are not."""

import json

import pytest
from gateway.domain.body_structure import MAX_CONTAINERS, MAX_TEXTS, MAX_VALUES, check_structure
from gateway.domain.errors import InvalidRequestError
from hypothesis import given, settings
from hypothesis import strategies as st


def slices(body: bytes) -> int:
    return sum(1 for _ in check_structure(body))


@pytest.mark.parametrize(
    ("item", "number"),
    [(b"[]", MAX_CONTAINERS + 1), (b"{}", MAX_CONTAINERS + 1), (b'"a"', MAX_TEXTS + 1), (b"1", MAX_VALUES + 2)],
)
def test_more_values_than_any_conversation_has_are_refused(item: bytes, number: int) -> None:
    with pytest.raises(InvalidRequestError, match="too many"):
        slices(b'{"x":[' + b",".join([item] * number) + b"]}")


@pytest.mark.parametrize("text", ['f(a[1], {b}) # "quoted" \\ ', "palavra, outra; ", "你好世界", "A" * 64])
def test_a_long_text_is_no_structure_whatever_stands_in_it(text: str) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": text * (8_000_000 // len(text))}]}).encode()
    assert slices(body) > 1


@given(
    st.lists(st.sampled_from(["a[{,", '"', "\\", '\\"', "x" * 65_530, "[" * 40_000, "é\n"]), max_size=12),
    st.integers(0, MAX_CONTAINERS + 2),
)
@settings(max_examples=60, deadline=None)
def test_only_what_stands_outside_of_texts_counts_wherever_a_slice_ends(texts: list[str], lists: int) -> None:
    fields = {"texts": texts, "more": "[{," * 200_000, "lists": [[]] * lists}
    body = json.dumps(fields, ensure_ascii=False).encode()
    if lists + 3 > MAX_CONTAINERS:
        with pytest.raises(InvalidRequestError, match="too many"):
            slices(body)
    else:
        assert slices(body) > 1


def test_small_bodies_are_not_looked_at() -> None:
    assert slices(b"[" * 1_000) == 0
