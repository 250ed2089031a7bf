"""Weights and prices: each token by its own class, rounded up once per call."""

from contracts.events.rates import Rates
from contracts.usage import TokenUsage
from hypothesis import given as for_all
from hypothesis import strategies as st
from ledger.domain.rates import billable_tokens, cost_usd_micros, highest_prompt_weight

counts = st.integers(0, 10**9)
weights = st.integers(0, 10**8)


def test_at_weight_one_a_billable_token_is_a_token() -> None:
    usage = TokenUsage(prompt_tokens=100, cached_prompt_tokens=40, cache_write_tokens=10, completion_tokens=7)
    assert billable_tokens(usage, Rates()) == 107


def test_cached_tokens_are_counted_once() -> None:
    rates = Rates(cached_prompt_weight_millionths=100_000)
    assert billable_tokens(TokenUsage(prompt_tokens=100, cached_prompt_tokens=60), rates) == 46


def test_cache_writes_have_a_weight_of_their_own() -> None:
    rates = Rates(cache_write_weight_millionths=1_250_000)
    assert billable_tokens(TokenUsage(prompt_tokens=100, cache_write_tokens=60), rates) == 115


def test_reasoning_is_completion_and_not_counted_twice() -> None:
    usage = TokenUsage(completion_tokens=100, reasoning_tokens=80)
    assert billable_tokens(usage, Rates(completion_weight_millionths=2_000_000)) == 200


def test_a_fraction_is_rounded_up_once_per_call() -> None:
    rates = Rates(prompt_weight_millionths=300_000, completion_weight_millionths=300_000)
    assert billable_tokens(TokenUsage(prompt_tokens=1, completion_tokens=1), rates) == 1
    assert billable_tokens(TokenUsage(prompt_tokens=2, completion_tokens=2), rates) == 2
    assert billable_tokens(TokenUsage(prompt_tokens=0, completion_tokens=0), rates) == 0


def test_parts_that_exceed_the_whole_never_lower_a_charge() -> None:
    usage = TokenUsage(prompt_tokens=10, cached_prompt_tokens=50, completion_tokens=5)
    assert billable_tokens(usage, Rates()) == 55
    assert cost_usd_micros(usage, Rates(prompt_price_micros=1_000_000)) == 0


def test_cost_is_priced_per_million_by_class() -> None:
    usage = TokenUsage(prompt_tokens=1_000, cached_prompt_tokens=400, cache_write_tokens=100, completion_tokens=10)
    rates = Rates(
        prompt_price_micros=3_000_000,
        cached_prompt_price_micros=300_000,
        cache_write_price_micros=3_750_000,
        completion_price_micros=15_000_000,
    )
    assert cost_usd_micros(usage, rates) == 1_500 + 120 + 375 + 150
    assert cost_usd_micros(TokenUsage(prompt_tokens=1), Rates(prompt_price_micros=150_000)) == 1


@for_all(plain=counts, cached=counts, written=counts, completion=counts, weight=st.tuples(weights, weights, weights))
def test_no_class_weighs_more_than_the_hold_assumed(
    plain: int, cached: int, written: int, completion: int, weight: tuple[int, int, int]
) -> None:
    rates = Rates(
        prompt_weight_millionths=weight[0],
        cached_prompt_weight_millionths=weight[1],
        cache_write_weight_millionths=weight[2],
    )
    usage = TokenUsage(
        prompt_tokens=plain + cached + written,
        cached_prompt_tokens=cached,
        cache_write_tokens=written,
        completion_tokens=completion,
    )
    worst = usage.prompt_tokens * highest_prompt_weight(rates) + completion * 1_000_000
    assert 0 <= billable_tokens(usage, rates) <= -(-worst // 1_000_000)
