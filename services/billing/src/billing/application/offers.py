"""What billing sells: read once, from the catalog that the ledger counts by."""

from collections.abc import Mapping
from pathlib import Path

from catalog import PackageEntry, PlanEntry, read_catalog

from billing.domain.offers import Offer, Offers


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


def _offer(name: str, tokens: int, entry: PackageEntry | PlanEntry) -> Offer:
    names: Mapping[str, str] = {str(language): text for language, text in entry.names.items()}
    return Offer(id=name, tokens=tokens, prices=entry.prices, stripe_prices=entry.stripe_prices, names=names)
