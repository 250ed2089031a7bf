"""The catalog file of plans, credit packages and model rates: one reading for all who use any of it."""

from catalog.entries import CatalogFile, ModelEntry, PackageEntry, PlanEntry
from catalog.reading import CatalogError, read_catalog

__all__ = ["CatalogError", "CatalogFile", "ModelEntry", "PackageEntry", "PlanEntry", "read_catalog"]
