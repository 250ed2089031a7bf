"""What the overview is made of, between the counting and the SQL."""

from datetime import date, datetime
from typing import Final, NamedTuple

from msgspec import Struct

from ledger.store.projected.usage_rows import Figures

QUARTERS_A_DAY: Final = 96


class QuarterSums(NamedTuple):
    """Of all accounts within a quarter hour: what was used, and how many of them were opened."""

    figures: Figures
    new_people: int


class ActivityKey(NamedTuple):
    """An account within a day of UTC."""

    day: date
    account_id: str


class OverviewChanges(Struct, frozen=True):
    """What is added to quarter hours, and in which of a day's 96 somebody was active: bit 0 is the one at midnight."""

    added: dict[datetime, QuarterSums]
    active: dict[ActivityKey, int]
