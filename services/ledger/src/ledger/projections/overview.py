"""What usage comes to for all accounts together: sums by quarter hour, and who was active when."""

from datetime import datetime

from ledger.store.overview_rows import ActivityKey, OverviewChanges, QuarterSums
from ledger.store.usage_rows import NOTHING, Figures, UsageChanges


def overview_of(changes: UsageChanges) -> OverviewChanges:
    """The same changes without accounts and models; a quarter hour to which nothing is added is left out."""
    sums = dict.fromkeys(changes.opened, NOTHING)
    for row, figures in changes.added.items():
        known = sums.get(row.starts_at)
        sums[row.starts_at] = figures if known is None else Figures(*map(sum, zip(known, figures, strict=True)))
    added = {
        starts_at: QuarterSums(figures, changes.opened[starts_at])
        for starts_at, figures in sums.items()
        if figures != NOTHING or changes.opened[starts_at]
    }
    active: dict[ActivityKey, int] = {}
    for account_id, starts_at in changes.active:
        day = ActivityKey(starts_at.date(), account_id)
        active[day] = active.get(day, 0) | 1 << number_of(starts_at)
    return OverviewChanges(added, active)


def number_of(starts_at: datetime) -> int:
    """Of a quarter hour within its day in UTC, from 0 to 95."""
    return starts_at.hour * 4 + starts_at.minute // 15
