"""What is to be reconciled by time: each UTC day once it is over, and each month on its successor's second day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from ledger.store.reconciliation.rows import RunKey, Trigger

SETTLED_BY: Final = time(3, tzinfo=UTC)
"""By then what was under way at midnight has ended, and has been told."""
MISSED_DAYS: Final = 7
"""So many days are caught up with, after a standstill."""
MONTHLY_DAY: Final = 2


def due_runs(now: datetime, source: str, first_told: date) -> Iterator[RunKey]:
    """What should have been made by now, the oldest first; nothing of days before the first that was told whole."""
    today = now.astimezone(UTC).date()
    over = today if now.astimezone(UTC).timetz() >= SETTLED_BY else today - timedelta(days=1)
    for ago in range(MISSED_DAYS, 0, -1):
        if (day := over - timedelta(days=ago)) >= first_told:
            yield RunKey(trigger=Trigger.NIGHTLY, source=source, first_day=day, last_day=day)
    last_day = over.replace(day=1) - timedelta(days=1)
    first_day = max(last_day.replace(day=1), first_told)
    if over.day >= MONTHLY_DAY and first_day <= last_day:
        yield RunKey(trigger=Trigger.MONTHLY, source=source, first_day=first_day, last_day=last_day)


def next_due(now: datetime) -> datetime:
    """When the next day is over."""
    now = now.astimezone(UTC)
    today = datetime.combine(now.date(), SETTLED_BY)
    return today if now < today else today + timedelta(days=1)
