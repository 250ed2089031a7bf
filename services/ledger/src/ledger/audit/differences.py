"""Live rows that are not what the events say: counted all, kept the first."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

MAX_DIFFERENCES: Final = 100


class Projection(StrEnum):
    """What the events are folded into."""

    ACCOUNTS = "accounts"
    HOLDS = "holds"
    ALL = "all"

    @property
    def has_accounts(self) -> bool:
        return self is not Projection.HOLDS

    @property
    def has_holds(self) -> bool:
        return self is not Projection.ACCOUNTS


class Difference(Struct, frozen=True, omit_defaults=True):
    """A live row that was not what the events say; `version` is the account's, up to which they were folded."""

    projection: Projection
    account_id: str
    version: int
    reason: str
    repaired: bool
    reservation_id: str | None = None


class Differences:
    """The first `MAX_DIFFERENCES`, and how many there are and were repaired."""

    def __init__(self) -> None:
        self.first: list[Difference] = []
        self.count = 0
        self.repaired = 0

    def add(self, difference: Difference) -> None:
        self.count += 1
        self.repaired += difference.repaired
        if len(self.first) < MAX_DIFFERENCES:
            self.first.append(difference)

    def merge(self, others: "Differences") -> None:
        """Take over what another walk found."""
        self.first = [*self.first, *others.first][:MAX_DIFFERENCES]
        self.count += others.count
        self.repaired += others.repaired
