"""What billing sells: read once, from the catalog that the ledger counts by."""

from collections.abc import Mapping
from pathlib import Path

from catalog import PackageEntry, PlanEntry, read_catalog

from billing.domain.offers import Offer, Offers
from billing.domain.plan_prices import PlanPrices, product_of


def load_offers(path: Path) -> Offers:
    """What has a price in the catalog file.

    Raises:
        CatalogError: the file can't be used; the text says why in one line.
    """
    catalog = read_catalog(path)
    return Offers(
        packages=[_offer(name, entry.tokens, entry) for name, entry in catalog.packages.items() if entry.prices],
        plans=[_offer(name, entry.monthly_tokens, entry) for name, entry in catalog.plans.items() if entry.prices],
    )


def load_plans(path: Path) -> tuple[PlanPrices, Mapping[str, int]]:
    """Which plan a price of Stripe's is for, and the monthly tokens of every plan, sold or not.

    Raises:
        CatalogError: the file can't be used; the text says why in one line.
    """
    plans = read_catalog(path).plans
    by_price = {price: name for name, entry in plans.items() for price in entry.stripe_prices.values()}
    monthly_tokens = {name: entry.monthly_tokens for name, entry in plans.items()}
    by_product = {product_of(name): name for name in plans}
    return PlanPrices(by_price=by_price, by_product=by_product), monthly_tokens


def _offer(name: str, tokens: int, entry: PackageEntry | PlanEntry) -> Offer:
    names: Mapping[str, str] = {str(language): text for language, text in entry.names.items()}
    return Offer(id=name, tokens=tokens, prices=entry.prices, stripe_prices=entry.stripe_prices, names=names)
