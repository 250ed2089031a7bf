"""What usage comes to by quarter hour, and who was active when, is the same however the log is cut into pages."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from contracts.events.registry import LedgerEvent
from contracts.events.reservations import ReservationExpired, UsageSettled
from hypothesis import given
from hypothesis import strategies as st
from ledger.projections.overview import overview_of
from ledger.projections.usage import corrected_reservations, count_usage, quarter_of
from ledger.store.projected.overview_rows import ActivityKey, QuarterSums
from ledger.store.projected.tracks import PageEvent
from ledger.store.projected.usage_rows import NOTHING, Estimate, Figures, ReservationKey

from tests.unit.ledger.histories import events_of, histories, last_settlements, pages
from tests.unit.ledger.story import START, Story, opened


class Tables:
    """What the tables of the overview hold, page after page, as `write_overview` has it."""

    def __init__(self) -> None:
        self.quarters: dict[datetime, QuarterSums] = {}
        self.active: dict[ActivityKey, int] = {}
        self._estimates: dict[ReservationKey, Estimate] = {}

    def take(self, page: Sequence[PageEvent[LedgerEvent]]) -> None:
        wanted = set(corrected_reservations(page))
        changes = count_usage(page, {key: each for key, each in self._estimates.items() if key in wanted})
        self._estimates = {key: each for key, each in self._estimates.items() if key not in changes.ended}
        self._estimates |= changes.begun
        told = overview_of(changes)
        for starts_at, added in told.added.items():
            known = self.quarters.get(starts_at, QuarterSums(NOTHING, 0))
            figures = Figures(*map(sum, zip(known.figures, added.figures, strict=True)))
            self.quarters[starts_at] = QuarterSums(figures, known.new_people + added.new_people)
            if added.figures.calls <= 0 and not figures.calls and not self.quarters[starts_at].new_people:
                del self.quarters[starts_at]
        for day, quarters in told.active.items():
            self.active[day] = self.active.get(day, 0) | quarters


def taken(story: Story, sizes: Sequence[int] = ()) -> Tables:
    tables = Tables()
    for page in pages(events_of(story), sizes):
        tables.take(page)
    return tables


@given(story=histories(), sizes=st.lists(st.integers(1, 6), max_size=12))
def test_quarter_hours_and_activity_are_the_same_in_pages_of_any_size(story: Story, sizes: list[int]) -> None:
    tables, whole = taken(story, sizes), taken(story)
    assert (tables.quarters, tables.active) == (whole.quarters, whole.active)
    corrected = {each.reservation_id for each in story.logged(UsageSettled)}
    unsettled = [each for each in story.logged(ReservationExpired) if each.reservation_id not in corrected]
    charged = [each.billable_tokens for each in last_settlements(story)]
    charged += [each.billable_tokens for each in unsettled]
    sums = [each.figures for each in tables.quarters.values()]
    assert sum(each.calls for each in sums) == len(charged)
    assert sum(each.billable_tokens for each in sums) == sum(charged)


@given(story=histories())
def test_who_began_a_call_was_active_then_and_nobody_else(story: Story) -> None:
    began: Counter[date] = Counter()
    quarters = {
        quarter_of(event.started_at if isinstance(event, UsageSettled) else event.reserved_at, at)
        for at, event in story.log
        if isinstance(event, UsageSettled | ReservationExpired)
    }
    for quarter in quarters:
        began[quarter.date()] += 1
    active = taken(story).active
    assert {day: quarters.bit_count() for (day, _), quarters in active.items()} == began


def test_an_account_is_new_in_the_quarter_hour_in_which_it_is_opened() -> None:
    story = Story(now=START + timedelta(minutes=17)).given(opened())
    tables = taken(story)
    assert tables.quarters == {START + timedelta(minutes=15): QuarterSums(NOTHING, 1)}
    assert tables.active == {}
