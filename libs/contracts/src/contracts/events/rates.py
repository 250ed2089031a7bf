"""What one model's tokens weigh and cost."""

from msgspec import Struct

from contracts.limits import Tokens


class Rates(Struct, frozen=True, kw_only=True):
    """What one model's tokens weigh and cost, as they stood when the hold was made.

    Weights are millionths of a billable token per provider token; prices are USD micros per million tokens.
    """

    prompt_weight_millionths: Tokens = 1_000_000
    cached_prompt_weight_millionths: Tokens = 1_000_000
    cache_write_weight_millionths: Tokens = 1_000_000
    completion_weight_millionths: Tokens = 1_000_000
    prompt_price_micros: Tokens = 0
    cached_prompt_price_micros: Tokens = 0
    cache_write_price_micros: Tokens = 0
    completion_price_micros: Tokens = 0

    @property
    def has_price(self) -> bool:
        """Whether anybody named a price: a model without one costs nothing that is known."""
        return bool(
            self.prompt_price_micros
            or self.cached_prompt_price_micros
            or self.cache_write_price_micros
            or self.completion_price_micros
        )
