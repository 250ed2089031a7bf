"""What operators set: the catalog and the bounds of holds."""

from datetime import timedelta

from msgspec import Struct

from ledger.domain.catalog import Catalog, Plan


class Policy(Struct, frozen=True, kw_only=True):
    """Everything beside state, command and time that a decision depends on."""

    catalog: Catalog
    default_plan: str = "basic"
    time_zone: str = "America/Sao_Paulo"
    hold_ttl: timedelta = timedelta(seconds=900)
    minimum_output_tokens: int = 256
    default_output_tokens: int = 4096
    unbounded_output_tokens: int = 16_384
    max_open_holds: int = 1_000
    short_prompt_tokens: int = 32

    @property
    def smallest_call_tokens(self) -> int:
        """What the smallest useful call needs: below, an account is exhausted."""
        return self.minimum_output_tokens + self.short_prompt_tokens

    def plan_of(self, name: str) -> Plan | None:
        """An account's plan; one that has left the catalog allows what the default plan does."""
        return self.catalog.plans.get(name) or self.catalog.plans.get(self.default_plan)
