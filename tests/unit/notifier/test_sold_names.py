"""What plans and packages are called in mails."""

from pathlib import Path

import pytest
from catalog import CatalogError
from language.choice import Language
from notifier.mail.sold_names import SoldNames

CATALOG = """
version = "1"
[plans.basic]
monthly_tokens = 1
names = { pt = "Básico & Cia.", en = "Basic" }
[packages.small]
tokens = 1
prices = { brl = 1 }
names = { pt = "Pequeno" }
"""


def test_names_are_those_of_the_catalog_in_the_language_else_their_own(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(CATALOG)
    sold = SoldNames.of_catalog(path)
    assert sold.plan("basic", Language.PORTUGUESE) == "Básico & Cia."
    assert sold.plan("basic", Language.ENGLISH) == "Basic"
    assert sold.package("small", Language.PORTUGUESE) == "Pequeno"
    assert sold.package("small", Language.ENGLISH) == "small"
    assert sold.package("other", Language.PORTUGUESE) == "other"
    assert sold.package("other.example", Language.PORTUGUESE) == ""
    assert sold.package(None, Language.PORTUGUESE) == ""


def test_without_a_catalog_all_have_their_own_names() -> None:
    assert SoldNames.of_catalog(None).plan("basic", Language.PORTUGUESE) == "basic"


def test_a_catalog_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="nowhere"):
        SoldNames.of_catalog(tmp_path / "nowhere.toml")
