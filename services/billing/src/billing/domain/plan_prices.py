"""Which plan a price of Stripe's is for."""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

_PRODUCT_PREFIX: Final = "solaris-plan-"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class PlanPrices(Struct, frozen=True, kw_only=True):
    """`by_price` are the prices that the catalog names, by their ids; `by_product` the products of all its plans."""

    by_price: Mapping[str, str]
    by_product: Mapping[str, str]

    def plan_of(self, price_id: str | None, product_id: str | None) -> str | None:
        """The plan of a price: the one that the catalog names for it, else that of its product, which outlives prices.

        None where neither is known: what somebody else sells, or what the catalog does not name any more.
        """
        return self.by_price.get(price_id or "") or self.by_product.get(product_id or "")


def product_of(plan: str) -> str:
    """The id of the product at Stripe that is sold as the plan, whatever its price."""
    return _PRODUCT_PREFIX + (plan if _PLAIN.fullmatch(plan) else f"x{plan.encode().hex()}")
