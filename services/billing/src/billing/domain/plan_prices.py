"""Which plan a price of Stripe's is for."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

_PRODUCT_PREFIX: Final = "solaris-plan-"


class PlanPrices(Struct, frozen=True, kw_only=True):
    """`by_price` are the prices that the catalog names, by id; `plans` all of its plans."""

    plans: frozenset[str]
    by_price: Mapping[str, str] = {}

    def plan_of(self, price_id: str | None, product_id: str | None) -> str | None:
        """The plan of a price: the one that the catalog names for it, else that of its product, which outlives prices.

        None where neither is known: what somebody else sells, or what the catalog does not name any more.
        """
        if price_id is not None and (plan := self.by_price.get(price_id)) is not None:
            return plan
        if product_id is None or not product_id.startswith(_PRODUCT_PREFIX):
            return None
        plan = product_id.removeprefix(_PRODUCT_PREFIX)
        return plan if plan in self.plans else None


def product_of(plan: str) -> str:
    """The id of the product at Stripe that is sold as the plan, whatever its price."""
    return f"{_PRODUCT_PREFIX}{plan}"
