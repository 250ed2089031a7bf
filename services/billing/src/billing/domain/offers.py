"""What is offered for how much: the catalog's packages and plans in one currency."""

from collections.abc import Mapping, Sequence

from msgspec import Struct


class Offer(Struct, frozen=True, kw_only=True):
    """A package or plan that is sold; `prices` by currency, the first the one that is meant where none is named."""

    id: str
    tokens: int
    prices: Mapping[str, int]
    stripe_prices: Mapping[str, str]
    names: Mapping[str, str]

    def name(self, locale: str) -> str:
        """What a person reads, in their language as far as there is a name in it."""
        language = locale[:2].lower()
        return self.names.get(language) or self.names.get("en") or self.id


class Offers(Struct, frozen=True, kw_only=True):
    """All that is sold."""

    packages: Sequence[Offer]
    plans: Sequence[Offer]

    def package(self, package_id: str) -> Offer | None:
        return next((offer for offer in self.packages if offer.id == package_id), None)

    def plan(self, plan: str) -> Offer | None:
        return next((offer for offer in self.plans if offer.id == plan), None)

    @property
    def first_currency(self) -> str:
        """In what an order is told that costs nothing."""
        return next((currency for offer in (*self.packages, *self.plans) for currency in offer.prices), "brl")
