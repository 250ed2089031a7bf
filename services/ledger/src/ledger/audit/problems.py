"""What is wrong with the log or with what was made of it: counted all, kept the first."""

import heapq
from typing import Final

from msgspec import Struct

MAX_KEPT: Final = 100
_AT_THE_END: Final = 2**63


class Problem(Struct, frozen=True):
    """`position` None where the bad event itself is gone, or where there is no event at all."""

    position: int | None
    account_id: str
    version: int
    reason: str

    @property
    def order(self) -> tuple[int, str, int]:
        return (_AT_THE_END if self.position is None else self.position, self.account_id, self.version)


class Problems:
    """The earliest `MAX_KEPT` problems and how many there are."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[Problem] = []

    def add(self, problem: Problem) -> None:
        self.count += 1
        self._kept.append(problem)
        if len(self._kept) >= 2 * MAX_KEPT:
            self._kept = self.first()

    def merge(self, others: "Problems") -> None:
        """Take over what another walk found."""
        self._kept += others.first()
        self._kept = self.first()
        self.count += others.count

    def first(self) -> list[Problem]:
        return heapq.nsmallest(MAX_KEPT, self._kept, key=lambda problem: problem.order)
