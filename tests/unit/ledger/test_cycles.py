"""Months of allowance: local midnight of the anchor day, clamped at month ends, right across clock changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from contracts.balance import Cycle
from contracts.errors import InvalidError
from contracts.events.accounts import CycleStarted
from contracts.events.notices import ThresholdCrossed, TokensExhausted
from hypothesis import given as for_all
from hypothesis import strategies as st
from ledger.domain.commands import CorrectCycle
from ledger.domain.cycles import cycle_after, cycle_at, local_day
from ledger.domain.holds import HoldState
from msgspec.structs import replace

from tests.unit.ledger.story import ACCOUNT_ID, POLICY, START, Story, expire, granted, opened, reserve, settle, used

SAO_PAULO = "America/Sao_Paulo"
TIME_ZONES = (SAO_PAULO, "UTC", "Europe/Lisbon", "America/Asuncion", "Asia/Beirut", "Africa/Cairo", "America/Havana")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "anchor_day", "starts", "ends"),
    [
        ("2026-01-30", 31, "2025-12-31", "2026-01-31"),
        ("2026-01-31", 31, "2026-01-31", "2026-02-28"),
        ("2026-02-28", 31, "2026-02-28", "2026-03-31"),
        ("2026-03-30", 31, "2026-02-28", "2026-03-31"),
        ("2026-04-30", 31, "2026-04-30", "2026-05-31"),
        ("2026-02-27", 30, "2026-01-30", "2026-02-28"),
        ("2026-02-28", 30, "2026-02-28", "2026-03-30"),
        ("2026-02-28", 29, "2026-02-28", "2026-03-29"),
        ("2026-02-28", 28, "2026-02-28", "2026-03-28"),
        ("2028-02-28", 29, "2028-01-29", "2028-02-29"),
        ("2028-02-29", 29, "2028-02-29", "2028-03-29"),
        ("2028-02-29", 31, "2028-02-29", "2028-03-31"),
        ("2028-02-28", 31, "2028-01-31", "2028-02-29"),
        ("2100-02-28", 29, "2100-02-28", "2100-03-29"),
        ("2026-12-31", 31, "2026-12-31", "2027-01-31"),
        ("2026-12-15", 15, "2026-12-15", "2027-01-15"),
        ("2027-01-14", 15, "2026-12-15", "2027-01-15"),
        ("2026-01-01", 1, "2026-01-01", "2026-02-01"),
    ],
)
def test_a_cycle_starts_on_the_anchor_day_or_the_month_s_last(
    moment: str, anchor_day: int, starts: str, ends: str
) -> None:
    cycle = cycle_at(utc(moment), anchor_day, "UTC")
    assert (cycle.starts_at, cycle.ends_at, cycle.id) == (utc(starts), utc(ends), starts)


@pytest.mark.parametrize(
    ("time_zone", "day", "starts_at"),
    [
        # Summer time began at midnight, so that midnight does not exist: the day starts at 01:00.
        (SAO_PAULO, "2018-11-04", "2018-11-04T03:00"),
        (SAO_PAULO, "2018-02-18", "2018-02-18T03:00"),  # summer time ended: 23:00 came twice before this midnight
        (SAO_PAULO, "2019-11-03", "2019-11-03T03:00"),  # abolished since
        ("America/Asuncion", "2023-10-01", "2023-10-01T04:00"),
        ("Asia/Beirut", "2022-03-27", "2022-03-26T22:00"),
        ("Africa/Cairo", "2023-04-28", "2023-04-27T22:00"),
        ("America/Havana", "2024-11-03", "2024-11-03T04:00"),  # midnight comes twice: the first
        ("Europe/Lisbon", "2024-03-31", "2024-03-31T00:00"),
        ("Europe/Lisbon", "2024-10-27", "2024-10-26T23:00"),
    ],
)
def test_local_midnight_survives_clock_changes(time_zone: str, day: str, starts_at: str) -> None:
    anchor_day, start = int(day[-2:]), utc(starts_at)
    cycle = cycle_at(start, anchor_day, time_zone)
    assert (cycle.starts_at, cycle.id) == (start, day)
    before = cycle_at(start - timedelta(microseconds=1), anchor_day, time_zone)
    assert before.ends_at == start
    assert before.id != cycle.id


@pytest.mark.parametrize("time_zone", TIME_ZONES)
@pytest.mark.parametrize("anchor_day", [1, 4, 18, 27, 28, 29, 30, 31])
def test_twenty_years_of_cycles_follow_without_gap_or_overlap(time_zone: str, anchor_day: int) -> None:
    cycle = cycle_at(utc("2010-01-05T12:00"), anchor_day, time_zone)
    seen = {cycle.id}
    for _ in range(240):
        following = cycle_after(cycle, anchor_day, time_zone)
        assert following.starts_at == cycle.ends_at
        assert timedelta(days=27) < following.ends_at - following.starts_at < timedelta(days=32)
        local = following.starts_at.astimezone(ZoneInfo(time_zone))
        assert local.hour <= 1
        assert following.id == f"{local:%Y-%m-%d}"
        assert following.id not in seen
        seen.add(following.id)
        cycle = following


@for_all(
    moment=st.integers(946_684_800, 4_070_908_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    anchor_day=st.integers(1, 31),
    time_zone=st.sampled_from(TIME_ZONES),
)
def test_every_moment_lies_in_its_cycle(moment: datetime, anchor_day: int, time_zone: str) -> None:
    cycle = cycle_at(moment, anchor_day, time_zone)
    assert cycle.starts_at <= moment < cycle.ends_at
    assert cycle_at(cycle.starts_at, anchor_day, time_zone) == cycle
    assert cycle_at(cycle.ends_at - timedelta(microseconds=1), anchor_day, time_zone) == cycle
    assert cycle.starts_at.tzinfo is UTC


def test_the_day_of_opening_is_the_local_one() -> None:
    late_evening_in_sao_paulo = utc("2026-03-11T02:30")
    assert local_day(late_evening_in_sao_paulo, SAO_PAULO) == 10
    story = Story(replace(POLICY, time_zone=SAO_PAULO), late_evening_in_sao_paulo).given(opened())
    assert story.account.anchor_day == 10
    assert story.balance.cycle.starts_at == utc("2026-03-10T03:00")


def test_an_account_may_be_opened_with_the_day_of_its_subscription() -> None:
    story = Story().given(opened(anchor_day=25))
    assert (story.balance.cycle.id, story.balance.cycle.ends_at) == ("2025-12-25", utc("2026-01-25"))


@pytest.mark.parametrize("anchor_day", [0, -1, 32])
def test_an_impossible_anchor_day_is_refused(anchor_day: int) -> None:
    with pytest.raises(InvalidError):
        Story().when(opened(anchor_day=anchor_day))


def test_a_cycle_starts_exactly_at_its_time() -> None:
    story = Story().given(opened(), *used("r1", 5_000)).at(utc("2026-02-10")).after(microseconds=-1)
    assert story.balance.monthly_used == 5_000
    story.after(microseconds=1)
    assert (story.balance.monthly_used, story.balance.cycle.id) == (0, "2026-02-10")


def test_unused_allowance_does_not_carry_over() -> None:
    story = Story().given(opened(), *used("r1", 1_000)).after(days=31)
    assert (story.balance.monthly_remaining, story.balance.monthly_limit) == (10_000, 10_000)


def test_each_missed_cycle_starts_in_turn() -> None:
    story = Story().given(opened(), *used("r1", 1_000)).after(days=120)
    story.given(opened())
    started = story.happened(CycleStarted)
    assert [event.cycle.id for event in started] == ["2026-02-10", "2026-03-10", "2026-04-10", "2026-05-10"]
    assert [event.closed_cycle_remaining for event in started] == [9_000, 10_000, 10_000, 10_000]


def test_a_read_shows_a_due_cycle_that_nothing_has_started() -> None:
    story = Story().given(opened(), *used("r1", 1_000)).after(days=31)
    assert (story.balance.monthly_used, story.account.monthly_used) == (0, 1_000)


def test_an_account_keeps_its_zone_when_the_operator_changes_theirs() -> None:
    story = Story(replace(POLICY, time_zone=SAO_PAULO)).given(opened())
    story.policy = POLICY
    story.after(days=31)
    assert story.balance.cycle.starts_at == utc("2026-02-10T03:00")


def test_a_month_is_not_started_twice_where_the_time_zone_s_law_was_changed() -> None:
    """The stored end was local midnight by the old law; by the new one it lies an hour before it."""
    ended = Cycle(
        id="2026-01-10",
        starts_at=datetime(2026, 1, 10, tzinfo=UTC),
        ends_at=datetime(2026, 2, 9, 23, tzinfo=UTC),
    )
    following = cycle_after(ended, 10, "UTC")
    assert (following.id, following.starts_at) == ("2026-02-10", ended.ends_at)
    assert following.ends_at == datetime(2026, 3, 10, tzinfo=UTC)


def test_no_moment_is_left_out_where_the_law_went_the_other_way() -> None:
    ended = Cycle(
        id="2026-01-10",
        starts_at=datetime(2026, 1, 10, tzinfo=UTC),
        ends_at=datetime(2026, 2, 10, 1, tzinfo=UTC),
    )
    following = cycle_after(ended, 10, "UTC")
    assert (following.id, following.starts_at) == ("2026-02-10", ended.ends_at)


def jumped() -> Story:
    """Forty days ahead for a while: the next month was started, and something used in it."""
    story = Story().given(opened(), *used("r1", 4_000)).after(days=40).given(*used("r2", 500))
    assert story.account.running_cycle.id == "2026-02-10"
    return story.at(START + timedelta(minutes=1))


def test_a_cycle_started_by_a_wrong_clock_is_put_back_with_all_that_was_used() -> None:
    story = jumped().given(CorrectCycle(account_id=ACCOUNT_ID, used_before=4_000))
    assert (story.balance.cycle.id, story.balance.monthly_used) == ("2026-01-10", 4_500)
    assert story.account.last_event_at == story.now
    story.at(datetime(2026, 2, 10, tzinfo=UTC))
    assert (story.balance.cycle.id, story.balance.monthly_used) == ("2026-02-10", 0)


def test_what_a_cycle_that_was_none_gave_beyond_the_one_allowance_is_owed() -> None:
    """8,000 and 9,000 of a limit of 10,000, and credits that were never touched."""
    story = Story().given(opened(), *used("r1", 8_000)).after(days=40).given(*used("r2", 9_000)).at(START)
    story.given(CorrectCycle(account_id=ACCOUNT_ID, used_before=8_000))
    assert (story.balance.monthly_used, story.balance.debt) == (10_000, 7_000)


def test_debt_that_a_cycle_that_was_none_repaid_is_debt_again() -> None:
    story = Story().given(opened(), settle("r1", prompt=12_000)).after(days=40).given(*used("r2", 500))
    assert (story.balance.monthly_used, story.balance.debt) == (2_500, 0)
    story.at(START).given(CorrectCycle(account_id=ACCOUNT_ID, used_before=10_000))
    assert (story.balance.monthly_used, story.balance.debt) == (10_000, 2_500)


def test_a_cycle_put_back_tells_who_is_out_again_and_no_threshold_twice() -> None:
    story = Story().given(opened(), *used("r1", 8_500)).after(days=40).given(*used("r2", 1_400)).at(START)
    story.given(CorrectCycle(account_id=ACCOUNT_ID, used_before=8_500))
    assert [event.percent for event in story.happened(ThresholdCrossed)] == [90, 95]
    assert len(story.happened(TokensExhausted)) == 1


def test_a_cycle_is_not_put_back_under_calls_in_flight() -> None:
    """Their holds name the cycle that admitted them: they would never be freed in another."""
    story = jumped().given(reserve("r3", prompt=1))
    with pytest.raises(InvalidError, match="in flight"):
        story.when(CorrectCycle(account_id=ACCOUNT_ID, used_before=4_000))
    story.given(settle("r3", prompt=1), CorrectCycle(account_id=ACCOUNT_ID, used_before=4_000))
    assert (story.balance.held, story.balance.monthly_used) == (0, 4_501)


def test_a_cycle_whose_time_has_come_is_not_corrected() -> None:
    with pytest.raises(InvalidError, match="future"):
        Story().given(opened()).when(CorrectCycle(account_id=ACCOUNT_ID, used_before=0))


def test_a_hold_lives_by_the_clock_and_not_by_an_account_s_future() -> None:
    story = jumped()
    granted(story.when(reserve("r3", prompt=1)))
    assert story.holds["r3"].expires_at == story.now + POLICY.hold_ttl
    story.after(minutes=16).given(expire("r3"))
    assert story.holds["r3"].state is HoldState.EXPIRED
