"""What a review should not have to look for: SQL in its one room, modules of a size to read, a README per package."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = {
    init.parent.name: init.parent
    for group in ("libs", "services", "deploy")
    for init in sorted(ROOT.glob(f"{group}/*/src/*/__init__.py"))
}
SQL_AT_HOME: Final = ("ledger",)
"""Packages of which all SQL stands in these rooms."""
ROOMS_OF_SQL: Final = frozenset({"store", "migrations"})
SQL: Final = re.compile(
    r"\b(?:SELECT\b|INSERT\s+INTO\b|UPDATE\s+\w|DELETE\s+FROM\b|(?:CREATE|ALTER|DROP|LOCK|TRUNCATE)\s+[A-Z]|SET\s+LOCAL\b)"
)
MAX_LINES: Final = 400


NAMED_FILE: Final = re.compile(r"`([\w./-]+(?:\.py|/))`")


def test_every_file_that_newcomers_are_sent_to_is_there() -> None:
    named = NAMED_FILE.findall((ROOT / "docs" / "contributing.md").read_text())
    groups = ("libs", "services", "deploy", "tests")
    files = [str(each.relative_to(ROOT)) for group in groups for each in (ROOT / group).rglob("*")]
    assert len(named) > 50
    assert [name for name in named if not any(f"/{file}".endswith(f"/{name.rstrip('/')}") for file in files)] == []


def test_every_package_is_looked_at() -> None:
    assert {"contracts", "chassis", "ledger", "gateway", "notifier", "local_run"} <= PACKAGES.keys()


@pytest.mark.parametrize("package", SQL_AT_HOME)
def test_sql_stands_in_the_store_alone(package: str) -> None:
    root = PACKAGES[package]
    elsewhere = [
        f"{module.relative_to(root)}:{line}"
        for module in _modules(root)
        if module.relative_to(root).parts[0] not in ROOMS_OF_SQL
        for line in _sql_lines(module.read_text())
    ]
    assert elsewhere == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('"""SELECT is what this module never does."""', []),
        ("row = fetch('SELECT 1')", [1]),
        ("QUERY = f'{WITH} DELETE FROM ledger.holds'", [1]),
        ("'UPDATE ledger.accounts SET due_at = $1'", []),
        ("execute('UPDATE ledger.accounts SET due_at = $1')", [1]),
        ("raise InvalidError('select a plan, then update it')", []),
    ],
)
def test_sql_is_known_by_its_words_in_what_the_code_uses(text: str, lines: list[int]) -> None:
    assert list(_sql_lines(text)) == lines


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_longer_than_can_be_read(package: str) -> None:
    longer = [str(each) for each in _modules(PACKAGES[package]) if len(each.read_text().splitlines()) > MAX_LINES]
    assert longer == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_it_is(package: str) -> None:
    project = PACKAGES[package].parents[1]
    assert (project / "README.md").is_file(), f"{project} has no README.md"


def _modules(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


def _sql_lines(text: str) -> Iterator[int]:
    """Where strings that hold SQL begin; docstrings, and other strings that nothing uses, hold none."""
    tree = ast.parse(text)
    unused = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    for string in strings:
        if id(string) not in unused and SQL.search(str(string.value)):
            yield string.lineno
