"""What provider tokens weigh and cost."""

from contracts.events.rates import Rates
from contracts.usage import TokenUsage

MILLION = 1_000_000


def billable_tokens(usage: TokenUsage, rates: Rates) -> int:
    """ceil(sum of tokens x weight / 10^6), rounded up once per call."""
    return _weighed(
        usage,
        rates.prompt_weight_millionths,
        rates.cached_prompt_weight_millionths,
        rates.cache_write_weight_millionths,
        rates.completion_weight_millionths,
    )


def cost_usd_micros(usage: TokenUsage, rates: Rates) -> int:
    """Cost in USD micros at the rates' prices, rounded up once per call."""
    return _weighed(
        usage,
        rates.prompt_price_micros,
        rates.cached_prompt_price_micros,
        rates.cache_write_price_micros,
        rates.completion_price_micros,
    )


def highest_prompt_weight(rates: Rates) -> int:
    """The weight that a prompt token can have at worst, in millionths."""
    return max(
        rates.prompt_weight_millionths,
        rates.cached_prompt_weight_millionths,
        rates.cache_write_weight_millionths,
    )


def _weighed(usage: TokenUsage, prompt: int, cached_prompt: int, cache_write: int, completion: int) -> int:
    """Cached and cache-write tokens are parts of the prompt: each prompt token is weighed once, by its own class."""
    # Figures whose parts exceed the whole are refused at the edge; never let one turn into a negative charge.
    plain_prompt = max(0, usage.prompt_tokens - usage.cached_prompt_tokens - usage.cache_write_tokens)
    millionths = (
        plain_prompt * prompt
        + usage.cached_prompt_tokens * cached_prompt
        + usage.cache_write_tokens * cache_write
        + usage.completion_tokens * completion
    )
    return -(-millionths // MILLION)
