"""What provider tokens weigh and cost."""

from contracts.events.rates import Rates
from contracts.usage import TokenUsage

MILLION = 1_000_000


def billable_tokens(usage: TokenUsage, rates: Rates) -> int:
    """ceil(sum of tokens x weight / 10^6), rounded up once per call.

    Cached and cache-write tokens are parts of the prompt: each prompt token is weighed once, by its own class.
    """
    plain_prompt = _plain_prompt(usage)
    millionths = (
        plain_prompt * rates.prompt_weight_millionths
        + usage.cached_prompt_tokens * rates.cached_prompt_weight_millionths
        + usage.cache_write_tokens * rates.cache_write_weight_millionths
        + usage.completion_tokens * rates.completion_weight_millionths
    )
    return -(-millionths // MILLION)


def cost_usd_micros(usage: TokenUsage, rates: Rates) -> int:
    """Cost in USD micros at the rates' prices, rounded up once per call."""
    plain_prompt = _plain_prompt(usage)
    millionths = (
        plain_prompt * rates.prompt_price_micros
        + usage.cached_prompt_tokens * rates.cached_prompt_price_micros
        + usage.cache_write_tokens * rates.cache_write_price_micros
        + usage.completion_tokens * rates.completion_price_micros
    )
    return -(-millionths // MILLION)


def highest_prompt_weight(rates: Rates) -> int:
    """The weight that a prompt token can have at worst, in millionths."""
    return max(
        rates.prompt_weight_millionths,
        rates.cached_prompt_weight_millionths,
        rates.cache_write_weight_millionths,
    )


def _plain_prompt(usage: TokenUsage) -> int:
    # Figures whose parts exceed the whole are refused at the edge; never let one turn into a negative charge.
    return max(0, usage.prompt_tokens - usage.cached_prompt_tokens - usage.cache_write_tokens)
