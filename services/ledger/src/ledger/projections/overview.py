"""What usage comes to for all accounts together: sums by quarter hour, and who was active when."""

from datetime import datetime

from ledger.store.projected.overview_rows import ActivityKey, OverviewChanges, QuarterSums
from ledger.store.projected.usage_rows import NOTHING, Figures, UsageChanges


def overview_of(changes: UsageChanges) -> OverviewChanges:
    """The same changes without accounts and models; a quarter hour to which nothing is added is left out."""
    rows: dict[datetime, list[Figures]] = {starts_at: [NOTHING] for starts_at in changes.opened}
    for row, figures in changes.added.items():
        rows.setdefault(row.starts_at, []).append(figures)
    added: dict[datetime, QuarterSums] = {}
    for starts_at, parts in rows.items():
        sums = QuarterSums(Figures(*map(sum, zip(*parts, strict=True))), changes.opened[starts_at])
        if sums != (NOTHING, 0):
            added[starts_at] = sums
    active: dict[ActivityKey, int] = {}
    for account_id, starts_at in changes.active:
        day = ActivityKey(starts_at.date(), account_id)
        active[day] = active.get(day, 0) | 1 << number_of(starts_at)
    return OverviewChanges(added, active)


def number_of(starts_at: datetime) -> int:
    """Of a quarter hour within its day in UTC, from 0 to 95."""
    return starts_at.hour * 4 + starts_at.minute // 15
