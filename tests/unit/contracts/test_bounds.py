"""Bounds at the edges: what a reserve may ask, and which texts can be stored everywhere."""

from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.limits import MAX_CHOICES, MAX_INTEGER, is_clean_text
from contracts.reservations import ReserveRequest
from msgspec import ValidationError, convert

REQUEST: dict[str, Any] = {
    "reservation_id": "r1",
    "account_id": "person-1",
    "model": "gpt-5",
    "endpoint": "/v1/chat/completions",
    "prompt_tokens": 100,
    "deadline": datetime(2026, 1, 10, 12, tzinfo=UTC),
}


@pytest.mark.parametrize(
    "changes",
    [{}, {"choices": MAX_CHOICES}, {"maximum_output_tokens": 0}, {"prompt_tokens": MAX_INTEGER}, {"profile": {}}],
)
def test_a_sane_reserve_passes(changes: dict[str, Any]) -> None:
    assert convert(REQUEST | changes, ReserveRequest).reservation_id == "r1"


@pytest.mark.parametrize(
    "changes",
    [
        {"choices": 0},
        {"choices": MAX_CHOICES + 1},
        {"prompt_tokens": -1},
        {"prompt_tokens": MAX_INTEGER + 1},
        {"prompt_tokens": float("nan")},
        {"maximum_output_tokens": -1},
        {"maximum_output_tokens": 10**30},
        {"model_output_tokens": -5},
        {"reservation_id": "a b"},
        {"account_id": "a@b"},
        {"model": "x" * 257},
        {"profile": {"email": "x" * 321}},
        {"deadline": "soon"},
        {"deadline": "2026-01-10T12:00:00"},
        {"deadline": 1_768_046_400},
        {"model": "a\x00b"},
        {"account_id": "person-1\n"},
    ],
)
def test_an_absurd_reserve_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        convert(REQUEST | changes, ReserveRequest)


@pytest.mark.parametrize("text", ["", "gpt-5", "açaí", "日本", "x" * 256, "🙂", "line\nbreak"])
def test_clean_texts(text: str) -> None:
    assert is_clean_text(text)


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "a\udfff", "x" * 257])
def test_texts_that_cannot_be_stored_everywhere(text: str) -> None:
    assert not is_clean_text(text)
