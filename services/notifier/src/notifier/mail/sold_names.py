"""What plans and packages are called: as the catalog says in the person's language, else by their own names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from catalog import PackageEntry, PlanEntry, read_catalog
from language.choice import Language

from notifier.mail.names import plain_name

type _Names = Mapping[tuple[str, Language], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldNames:
    """Names by the entry's own name and the language; what the catalog does not know is named if it is a plain name."""

    packages: _Names = field(default_factory=dict)
    plans: _Names = field(default_factory=dict)

    @classmethod
    def of_catalog(cls, path: Path | None) -> Self:
        """Of the catalog file, or none.

        Raises:
            CatalogError: the file can't be used.
        """
        if path is None:
            return cls()
        catalog = read_catalog(path)
        return cls(packages=_names(catalog.packages), plans=_names(catalog.plans))

    def package(self, package_id: str | None, language: Language) -> str:
        """Empty where it is not to be named."""
        return self.packages.get((package_id or "", language)) or plain_name(package_id) or ""

    def plan(self, plan: str, language: Language) -> str:
        """Empty where it is not to be named."""
        return self.plans.get((plan, language)) or plain_name(plan) or ""


def _names(entries: Mapping[str, PackageEntry] | Mapping[str, PlanEntry]) -> _Names:
    return {
        (own, language): name
        for own, entry in entries.items()
        for language, name in ((Language.PORTUGUESE, entry.names.get("pt")), (Language.ENGLISH, entry.names.get("en")))
        if name
    }
