"""Numbers of advisory locks stand in one module; SQL functions of migrations repeat them, and agree."""

import re
from pathlib import Path
from typing import Final

from chassis import locks

REPOSITORY: Final = Path(__file__).parents[3]
NUMBERS: Final = {value for value in vars(locks).values() if isinstance(value, int)}


def numbers_in(path: Path) -> set[int]:
    return {int(number) for number in re.findall(r"\b72\d{14}\b", path.read_text())}


def test_no_two_locks_are_one() -> None:
    assert len(NUMBERS) == len([name for name in vars(locks) if name.isupper()])


def test_a_number_stands_in_no_other_module_but_in_migrations_which_agree() -> None:
    for path in [path for room in ("libs", "services", "deploy") for path in (REPOSITORY / room).rglob("*.py")]:
        if path != Path(locks.__file__):
            assert numbers_in(path) <= ({locks.APPEND, locks.LOG_PART} if "migrations" in path.parts else set()), path


def test_appends_take_the_lock_that_is_named_so() -> None:
    folder = REPOSITORY / "services/ledger/src/ledger/migrations/versions"
    last = max(path for path in folder.glob("*.py") if "pg_advisory_xact_lock" in path.read_text())
    assert numbers_in(last) == {locks.APPEND}
