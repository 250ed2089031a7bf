"""Providers' figures in their many shapes, and figures that can't be true."""

from typing import Any

import pytest
from contracts.usage import TokenUsage
from gateway.domain.usage_figures import read_usage
from hypothesis import given
from hypothesis import strategies as st


def test_openais_figures() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    assert read_usage(usage) == TokenUsage(
        prompt_tokens=100, cached_prompt_tokens=60, completion_tokens=50, reasoning_tokens=30
    )


def test_litellms_figures_for_anthropic() -> None:
    usage = {
        "prompt_tokens": 1100,
        "completion_tokens": 50,
        "total_tokens": 1150,
        "prompt_tokens_details": {"cached_tokens": 600, "cache_creation_tokens": 400},
        "cache_creation_input_tokens": 400,
        "cache_read_input_tokens": 600,
    }
    assert read_usage(usage) == TokenUsage(
        prompt_tokens=1100, cached_prompt_tokens=600, cache_write_tokens=400, completion_tokens=50
    )


def test_deepseeks_cache_hits() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 5,
        "prompt_cache_hit_tokens": 64,
        "prompt_cache_miss_tokens": 36,
    }
    assert read_usage(usage) == TokenUsage(prompt_tokens=100, cached_prompt_tokens=64, completion_tokens=5)


def test_reasoning_counted_beside_the_completion_is_added_to_it() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 115,
        "completion_tokens_details": {"reasoning_tokens": 100},
    }
    assert read_usage(usage) == TokenUsage(prompt_tokens=10, completion_tokens=105, reasoning_tokens=100)


def test_explicit_zero_is_a_figure_and_null_is_none() -> None:
    assert read_usage({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}) == TokenUsage()
    assert read_usage({"prompt_tokens": 7, "completion_tokens": 0, "prompt_tokens_details": None}) == TokenUsage(
        prompt_tokens=7
    )


def test_missing_completion_follows_from_the_total() -> None:
    assert read_usage({"prompt_tokens": 7, "total_tokens": 9}) == TokenUsage(prompt_tokens=7, completion_tokens=2)


def test_whole_floats_are_figures() -> None:
    assert read_usage({"prompt_tokens": 7.0, "completion_tokens": 2.0}) == TokenUsage(
        prompt_tokens=7, completion_tokens=2
    )


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "10",
        {},
        {"prompt_tokens": 7},
        {"completion_tokens": 7},
        {"prompt_tokens": -1, "completion_tokens": 7},
        {"prompt_tokens": 1, "completion_tokens": -7},
        {"prompt_tokens": 9, "total_tokens": 2},
        {"prompt_tokens": True, "completion_tokens": 7},
        {"prompt_tokens": "7", "completion_tokens": 7},
        {"prompt_tokens": 7.5, "completion_tokens": 7},
        {"prompt_tokens": float("nan"), "completion_tokens": 7},
        {"prompt_tokens": float("inf"), "completion_tokens": 7},
        {"prompt_tokens": 2**53 + 1, "completion_tokens": 7},
        {"prompt_tokens": 10**30, "completion_tokens": 7},
        {"prompt_tokens": 7, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 8}},
        {"prompt_tokens": 7, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": -1}},
        {"prompt_tokens": 7, "completion_tokens": 7, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 4},
        {"prompt_tokens": 7, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 8}},
    ],
)
def test_what_can_not_be_true_counts_as_absent(usage: Any) -> None:
    assert read_usage(usage) is None


figures = st.one_of(st.integers(-5, 300), st.none(), st.floats(), st.booleans(), st.text(max_size=3), st.just(2**60))
details = st.one_of(
    st.none(), figures, st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens"]), figures)
)


@given(
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "cache_read_input_tokens"]), figures
    ),
    details,
    details,
)
def test_whatever_comes_is_either_consistent_or_absent(usage: dict[str, Any], prompt: Any, completion: Any) -> None:
    read = read_usage(usage | {"prompt_tokens_details": prompt, "completion_tokens_details": completion})
    if read is not None:
        assert 0 <= read.cached_prompt_tokens + read.cache_write_tokens <= read.prompt_tokens <= 2**53
        assert 0 <= read.reasoning_tokens <= read.completion_tokens <= 2**53
