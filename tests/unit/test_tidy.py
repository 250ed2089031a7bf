"""What a review should not have to look for: rooms, SQL in its one room, names of metrics, nothing dead or too long."""

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
SERVICES: Final = tuple(sorted(name for name, root in PACKAGES.items() if root.parents[2].name == "services"))
ROOMS: Final = frozenset(
    {
        *("domain", "application", "store", "messaging", "http", "operate", "migrations"),
        *("__init__", "__main__", "main", "settings", "metrics"),
    }
)
ROOMS_OF_THEIR_OWN: Final = {
    "gateway": {"upstream", "journal", "tokenizers"},
    "notifier": {"mail"},
    "ledger": {"analytics", "audit", "demo", "projections", "projector", "reconciliation", "catalog_file"},
    "billing": {"stripe_api"},
}
HOMES_OF_SQL: Final = {
    "chassis": frozenset({"dead_letters", "migrations", "operate", "outbox"}),
    "local_run": frozenset({"servers", "demo_stripe"}),
}
"""Rooms, or modules, beside those of a service."""
STORE: Final = frozenset({"store", "migrations"})
METRICS: Final = frozenset({"Counter", "Gauge", "Histogram", "Info", "Summary", "Enum", "LoopHistogram"})
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
    assert {
        "contracts",
        "chassis",
        "language",
        "catalog",
        "ledger",
        "gateway",
        "notifier",
        "billing",
        "local_run",
        "company",
    } <= PACKAGES.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_rooms_that_every_service_has(service: str) -> None:
    found = {
        module.relative_to(PACKAGES[service]).parts[0].removesuffix(".py") for module in _modules(PACKAGES[service])
    }
    assert found - ROOMS - ROOMS_OF_THEIR_OWN.get(service, set()) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_sql_stands_in_the_store_alone(package: str) -> None:
    root, homes = PACKAGES[package], HOMES_OF_SQL.get(package, STORE)
    elsewhere = [
        f"{module.relative_to(root)}:{line}"
        for module in _modules(root)
        if module.relative_to(root).parts[0].removesuffix(".py") not in homes
        for line in _sql_lines(module.read_text())
    ]
    assert elsewhere == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_metric_is_known_as_ours(package: str) -> None:
    strange = [
        f"{module}: {name}"
        for module in _modules(PACKAGES[package])
        for name in _metric_names(module.read_text())
        if not name.startswith("solaris_")
    ]
    assert strange == []


def test_what_tests_share_stands_beside_them() -> None:
    """Whoever imports a test is read in two places, and may run the other one's cases too."""
    importing = re.compile(r"^from tests\.[\w.]*\.test_\w+ import ", re.MULTILINE)
    modules = (ROOT / "tests").rglob("*.py")
    assert [str(each.relative_to(ROOT)) for each in modules if importing.search(each.read_text())] == []


def test_no_module_is_dead() -> None:
    """Something of the product imports it, or names it to be run or loaded; what only tests use has no use."""
    sources = {module: module.read_text() for root in PACKAGES.values() for module in _modules(root)}
    used = {name for module, text in sources.items() for name in _modules_named_in(text, _dotted(module))}
    dead = [
        _dotted(module)
        for module, text in sources.items()
        if module.name not in ("__init__.py", "__main__.py")
        and "versions" not in module.parts
        and 'if __name__ == "__main__":' not in text
        and _dotted(module) not in used
    ]
    assert dead == []


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


@pytest.mark.parametrize("root", [*PACKAGES.values(), ROOT / "tests", ROOT / "bench"], ids=lambda root: root.name)
def test_no_module_is_longer_than_can_be_read(root: Path) -> None:
    longer = [str(each) for each in _modules(root) if len(each.read_text().splitlines()) > MAX_LINES]
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


def _metric_names(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in METRICS:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _dotted(module: Path) -> str:
    root = next(root for root in PACKAGES.values() if root in module.parents)
    return ".".join(module.relative_to(root.parent).with_suffix("").parts)


def _modules_named_in(text: str, itself: str) -> Iterator[str]:
    """What a module imports, and what stands in it as a text with dots, but for itself."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.ImportFrom(module=str(source)):
                yield source
                yield from (f"{source}.{alias.name}" for alias in node.names)
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.Constant(value=str(value)) if value.partition(":")[0] != itself:
                yield value.partition(":")[0]
            case _:
                pass
