"""What has to stand at Stripe for billing to work, and what is still to be done for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from billing.domain.plan_prices import product_of


class Sold(StrEnum):
    PACKAGE = "package"
    PLAN = "plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sellable:
    """An entry of the catalog that is sold; `prices` by currency, `own_prices` those that the catalog names itself."""

    sold: Sold
    name: str
    label: str
    prices: Mapping[str, int]
    own_prices: Mapping[str, str]

    @property
    def product_id(self) -> str:
        """A plan's product is what its price says which plan it is for."""
        return product_of(self.name) if self.sold is Sold.PLAN else f"solaris-package-{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTerms:
    """What a price says; a plan's is paid each month."""

    product_id: str
    amount_minor: int
    currency: str
    is_monthly: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPrice:
    """A price and by what it is found again: `lookup_key`."""

    lookup_key: str
    product_name: str
    terms: PriceTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPrice:
    price_id: str
    lookup_key: str | None
    is_active: bool
    terms: PriceTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where Stripe delivers events of these types in the form of that version."""

    endpoint_id: str
    url: str
    events: frozenset[str]
    api_version: str | None
    is_enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePrice:
    """`replaces` the price that has the lookup key now, for other terms: what a price says can't be changed."""

    price: WantedPrice
    replaces: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEndpoint:
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateEndpoint:
    """Enables it, and has it deliver `events`."""

    endpoint_id: str
    events: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPortal:
    """The portal's configuration that was made here; `prices` are those between which people may change."""

    portal_id: str
    prices: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutPortal:
    """People change card and plan, cancel at a period's end, see their invoices; None: there is none of ours yet."""

    portal_id: str | None


type Step = CreatePrice | CreateEndpoint | UpdateEndpoint | PutPortal


def wanted_prices(offers: Iterable[Sellable]) -> list[WantedPrice]:
    """Of each offer in each currency, but for what the catalog names a price of its own for."""
    return [
        WantedPrice(
            lookup_key=f"{offer.product_id}_{currency}",
            product_name=offer.label,
            terms=PriceTerms(
                product_id=offer.product_id,
                amount_minor=amount_minor,
                currency=currency,
                is_monthly=offer.sold is Sold.PLAN,
            ),
        )
        for offer in offers
        for currency, amount_minor in sorted(offer.prices.items())
        if currency not in offer.own_prices
    ]


def price_steps(wanted: Iterable[WantedPrice], found: Iterable[FoundPrice]) -> list[CreatePrice]:
    """Prices to make; whoever has the right terms under the right key is left alone."""
    by_key = {price.lookup_key: price for price in found if price.lookup_key}
    steps = []
    for price in wanted:
        now = by_key.get(price.lookup_key)
        if now is None or now.terms != price.terms or not now.is_active:
            steps.append(CreatePrice(price=price, replaces=now.price_id if now else None))
    return steps


def endpoint_step(
    url: str, events: frozenset[str], api_version: str, found: Sequence[Endpoint]
) -> CreateEndpoint | UpdateEndpoint | None:
    """What makes events of all these types come to the address in the form of that version.

    An endpoint keeps the version that it was made with, so that another version needs another endpoint.
    """
    ours = [each for each in found if each.url == url and each.api_version == api_version]
    if not ours:
        return CreateEndpoint(url=url)
    right = [each for each in ours if each.is_enabled and hears(each, events)]
    if right:
        return None
    return UpdateEndpoint(endpoint_id=ours[0].endpoint_id, events=ours[0].events | events)


def portal_step(prices: Iterable[FoundPrice], found: FoundPortal | None, *, makes_prices: bool) -> PutPortal | None:
    """What lets people change between the plans' prices; `makes_prices`: some of them are still to be made."""
    if found is not None and not makes_prices and found.prices == prices_mark(prices):
        return None
    return PutPortal(portal_id=None if found is None else found.portal_id)


def prices_mark(prices: Iterable[FoundPrice]) -> str:
    """By what a portal tells which prices it was made with."""
    ids = sorted(price.price_id for price in prices if price.terms.is_monthly)
    return sha256(",".join(ids).encode()).hexdigest()[:32]


def hears(endpoint: Endpoint, events: frozenset[str]) -> bool:
    return "*" in endpoint.events or events <= endpoint.events
