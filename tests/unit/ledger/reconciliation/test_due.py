"""Each UTC day is reconciled once it is over and told, each month on its successor's second day."""

from datetime import UTC, date, datetime, timedelta

import pytest
from ledger.reconciliation.due import due_runs, next_due
from ledger.store.reconciliation.rows import Trigger

EVER = date(2020, 1, 1)


def due(now: str, first_told: date = EVER) -> list[tuple[Trigger, str, str]]:
    runs = due_runs(datetime.fromisoformat(now), "litellm", first_told)
    return [(run.trigger, run.first_day.isoformat(), run.last_day.isoformat()) for run in runs]


def test_a_day_is_due_three_hours_after_it() -> None:
    assert due("2026-11-26T02:59:59Z")[-2] == (Trigger.NIGHTLY, "2026-11-24", "2026-11-24")
    assert due("2026-11-26T03:00:00Z")[-2] == (Trigger.NIGHTLY, "2026-11-25", "2026-11-25")
    assert due("2026-11-26T00:30:00-03:00")[-2] == (Trigger.NIGHTLY, "2026-11-25", "2026-11-25")


def test_a_month_is_due_on_the_second_and_stays_due_until_it_is_made() -> None:
    month = (Trigger.MONTHLY, "2026-11-01", "2026-11-30")
    assert month not in due("2026-12-02T02:59:00Z")
    assert month in due("2026-12-02T03:00:00Z")
    assert month in due("2026-12-31T12:00:00Z")


def test_days_that_were_missed_are_caught_up_with_the_oldest_first() -> None:
    nights = [first for trigger, first, _ in due("2026-11-26T12:00:00Z") if trigger is Trigger.NIGHTLY]
    assert nights == [f"2026-11-{number}" for number in range(19, 26)]


def test_of_days_before_anything_was_told_nothing_is_due() -> None:
    told_first = date(2026, 11, 24)
    assert due("2026-11-26T12:00:00Z", told_first) == [
        (Trigger.NIGHTLY, "2026-11-24", "2026-11-24"),
        (Trigger.NIGHTLY, "2026-11-25", "2026-11-25"),
    ]
    assert due("2026-12-02T12:00:00Z", told_first)[-1] == (Trigger.MONTHLY, "2026-11-24", "2026-11-30")


@pytest.mark.parametrize("hours", range(0, 48, 5))
def test_the_next_time_is_within_a_day(hours: int) -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC) + timedelta(hours=hours, minutes=7)
    assert timedelta() < next_due(now) - now <= timedelta(days=1)
    assert next_due(now).hour == 3
