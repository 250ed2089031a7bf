"""Where checkpoints are kept: numbered, written once, never over one that is there."""

import re
from pathlib import Path
from typing import Final, Protocol

from ledger.audit.checkpoints.errors import CheckpointError

RECENT: Final = 168
"""Of the latest, a week's at one an hour, all are kept; of those before them one of every `A_DAY`."""
A_DAY: Final = 24
_NAME: Final = re.compile(r"checkpoint-([0-9]{10})")
MAX_NUMBER: Final = 9_999_999_999


class Shelf(Protocol):
    """A folder or a bucket. Each of its methods raises CheckpointError where the place does not do what it should."""

    place: str
    """As people name it."""

    def numbers(self) -> list[int]:
        """Of the checkpoints that are there, rising."""
        ...

    def put(self, number: int, document: Path) -> None:
        """Keep it, whole or not at all.

        Raises:
            TakenError: there is another one of that number.
        """
        ...

    def fetch(self, number: int, into: Path) -> None:
        """Copy it to a file that is not there yet."""
        ...

    def remove(self, number: int) -> None:
        """What is gone already is none the worse."""
        ...


def name_of(number: int) -> str:
    """By which names sort as numbers do."""
    if not 1 <= number <= MAX_NUMBER:
        raise CheckpointError(f"there is no checkpoint {number}")
    return f"checkpoint-{number:010}"


def number_of(name: str) -> int | None:
    """None where it is no checkpoint's name."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def expendable(numbers: list[int], keep_days: int) -> list[int]:
    """Which of them need not be kept: by number, since no clock says reliably which is old.

    At one an hour, all of a week are kept, then one a day, for `keep_days` days; 0: for ever, and all of them.
    """
    if not numbers or keep_days == 0:
        return []
    latest = max(numbers)
    oldest = latest - keep_days * A_DAY
    return [
        number
        for number in sorted(numbers)
        if number < latest and (number <= oldest or (number <= latest - RECENT and number % A_DAY != 0))
    ]
