"""Providers' figures in their many shapes, and figures that can't be true."""

from typing import Any

import pytest
from contracts.usage import TokenUsage, UsageSource
from gateway.domain.usage_figures import answer_figures, read_usage
from hypothesis import given
from hypothesis import strategies as st

PROMPT_ESTIMATE = 14
OUTPUT_COUNT = 3


def charged(usage: Any) -> tuple[TokenUsage, UsageSource] | None:
    figures = read_usage(usage)
    return None if figures is None else figures.usage(PROMPT_ESTIMATE, lambda: OUTPUT_COUNT)


def test_openais_figures() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    expected = TokenUsage(prompt_tokens=100, cached_prompt_tokens=60, completion_tokens=50, reasoning_tokens=30)
    assert charged(usage) == (expected, UsageSource.PROVIDER)


def test_litellms_figures_for_anthropic() -> None:
    usage = {
        "prompt_tokens": 1100,
        "completion_tokens": 50,
        "total_tokens": 1150,
        "prompt_tokens_details": {"cached_tokens": 600, "cache_creation_tokens": 400},
        "cache_creation_input_tokens": 400,
        "cache_read_input_tokens": 600,
    }
    expected = TokenUsage(prompt_tokens=1100, cached_prompt_tokens=600, cache_write_tokens=400, completion_tokens=50)
    assert charged(usage) == (expected, UsageSource.PROVIDER)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 64},
            TokenUsage(prompt_tokens=100, cached_prompt_tokens=64, completion_tokens=5),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 115,
                "completion_tokens_details": {"reasoning_tokens": 100},
            },
            TokenUsage(prompt_tokens=10, completion_tokens=105, reasoning_tokens=100),
        ),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, TokenUsage()),
        ({"prompt_tokens": 7, "completion_tokens": 0, "prompt_tokens_details": None}, TokenUsage(prompt_tokens=7)),
        ({"prompt_tokens": 7, "total_tokens": 9}, TokenUsage(prompt_tokens=7, completion_tokens=2)),
        ({"prompt_tokens": 7.0, "completion_tokens": 2.0}, TokenUsage(prompt_tokens=7, completion_tokens=2)),
    ],
)
def test_known_forms_are_the_providers_own(usage: Any, expected: TokenUsage) -> None:
    assert charged(usage) == (expected, UsageSource.PROVIDER)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 20, "output_tokens": 10}, TokenUsage(prompt_tokens=20, completion_tokens=10)),
        (
            {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623},
            TokenUsage(prompt_tokens=20, completion_tokens=603, reasoning_tokens=405),
        ),
        (
            {"prompt_tokens": 57, "completion_tokens": 14417.92, "total_tokens": 14474.92},
            TokenUsage(prompt_tokens=57, completion_tokens=14418),
        ),
        (
            {"prompt_tokens": "1200", "completion_tokens": "340"},
            TokenUsage(prompt_tokens=1200, completion_tokens=340),
        ),
        (
            {"prompt_tokens": 14, "completion_tokens": 30, "cache_read_input_tokens": 4410},
            TokenUsage(prompt_tokens=4424, cached_prompt_tokens=4410, completion_tokens=30),
        ),
        (
            {"prompt_tokens": 14, "completion_tokens": 30, "total_tokens": 44, "cache_read_input_tokens": 4410},
            TokenUsage(prompt_tokens=4424, cached_prompt_tokens=4410, completion_tokens=30),
        ),
        (
            {
                "input_tokens": 5000,
                "output_tokens": 30,
                "cache_read_input_tokens": 4000,
                "cache_creation_input_tokens": 100,
            },
            TokenUsage(prompt_tokens=9100, cached_prompt_tokens=4000, cache_write_tokens=100, completion_tokens=30),
        ),
        (
            {
                "input_tokens": 50,
                "output_tokens": 30,
                "total_tokens": 80,
                "input_tokens_details": {"cached_tokens": 40},
            },
            TokenUsage(prompt_tokens=50, cached_prompt_tokens=40, completion_tokens=30),
        ),
        ({"total_tokens": 30}, TokenUsage(prompt_tokens=14, completion_tokens=16)),
        ({"total_tokens": 9}, TokenUsage(prompt_tokens=9)),
        ({"completion_tokens": 7, "total_tokens": 27}, TokenUsage(prompt_tokens=20, completion_tokens=7)),
        (
            {"prompt_tokens": 7, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 8}},
            TokenUsage(prompt_tokens=7, completion_tokens=7),
        ),
        (
            {"prompt_tokens": 7, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": -1}},
            TokenUsage(prompt_tokens=7, completion_tokens=7),
        ),
        (
            {"prompt_tokens": 7, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 8}},
            TokenUsage(prompt_tokens=7, completion_tokens=7, reasoning_tokens=7),
        ),
        (
            {"prompt_tokens": 7, "completion_tokens": 7, "total_tokens": 10**8},
            TokenUsage(prompt_tokens=7, completion_tokens=7),
        ),
    ],
)
def test_what_can_be_read_is_read_and_marked(usage: Any, expected: TokenUsage) -> None:
    assert charged(usage) == (expected, UsageSource.PROVIDER_REPAIRED)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 7}, TokenUsage(prompt_tokens=7, completion_tokens=3)),
        ({"completion_tokens": 7}, TokenUsage(prompt_tokens=14, completion_tokens=7)),
        ({"prompt_tokens": -1, "completion_tokens": 7}, TokenUsage(prompt_tokens=14, completion_tokens=7)),
        ({"prompt_tokens": 1, "completion_tokens": -7}, TokenUsage(prompt_tokens=1, completion_tokens=3)),
        ({"prompt_tokens": 9, "total_tokens": 2}, TokenUsage(prompt_tokens=9, completion_tokens=3)),
        ({"prompt_tokens": True, "completion_tokens": 7}, TokenUsage(prompt_tokens=14, completion_tokens=7)),
        ({"prompt_tokens": float("nan"), "completion_tokens": 7}, TokenUsage(prompt_tokens=14, completion_tokens=7)),
        ({"prompt_tokens": float("inf"), "completion_tokens": 7}, TokenUsage(prompt_tokens=14, completion_tokens=7)),
        ({"prompt_tokens": 10**30, "completion_tokens": 7}, TokenUsage(prompt_tokens=14, completion_tokens=7)),
        ({"prompt_tokens": "many", "completion_tokens": 7}, TokenUsage(prompt_tokens=14, completion_tokens=7)),
    ],
)
def test_a_side_that_can_not_be_read_is_counted_by_us(usage: Any, expected: TokenUsage) -> None:
    assert charged(usage) == (expected, UsageSource.ESTIMATED)


@pytest.mark.parametrize("usage", [None, [], "10", {}, {"prompt_tokens": "x", "total_tokens": -1}])
def test_nothing_to_read_counts_as_absent(usage: Any) -> None:
    assert read_usage(usage) is None


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"delta": {}, "usage": {"prompt_tokens": 20, "completion_tokens": 9}}]},
        {"choices": [], "x_groq": {"id": "r", "usage": {"prompt_tokens": 20, "completion_tokens": 9}}},
        {"usage": None, "choices": [{"usage": {"prompt_tokens": 20, "completion_tokens": 9}}]},
    ],
)
def test_figures_are_found_where_providers_put_them(answer: dict[str, Any]) -> None:
    figures = answer_figures(answer)
    assert figures is not None
    expected = (TokenUsage(prompt_tokens=20, completion_tokens=9), UsageSource.PROVIDER_REPAIRED)
    assert figures.usage(0, lambda: 0) == expected


figures = st.one_of(st.integers(-5, 300), st.none(), st.floats(), st.booleans(), st.text(max_size=3), st.just(2**60))
details = st.one_of(
    st.none(), figures, st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens"]), figures)
)
names = ["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"]
cache_names = ["cache_read_input_tokens", "cache_creation_input_tokens", "prompt_cache_hit_tokens"]


@given(st.dictionaries(st.sampled_from(names + cache_names), figures), details, details)
def test_whatever_comes_is_either_consistent_or_absent(usage: dict[str, Any], prompt: Any, completion: Any) -> None:
    read = charged(usage | {"prompt_tokens_details": prompt, "completion_tokens_details": completion})
    if read is not None:
        tokens, _ = read
        assert 0 <= tokens.cached_prompt_tokens + tokens.cache_write_tokens <= tokens.prompt_tokens <= 2**53
        assert 0 <= tokens.reasoning_tokens <= tokens.completion_tokens <= 2**53
