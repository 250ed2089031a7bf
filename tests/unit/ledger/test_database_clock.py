"""A database clock that jumps is not believed at once."""

from datetime import UTC, datetime, timedelta

import pytest
from ledger.application.database_clock import CONFIRM_SECONDS, DatabaseClock

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
FORTY_DAYS = timedelta(days=40)
LIFE = timedelta(minutes=15)


class Monotonic:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
def clock(monotonic: Monotonic) -> DatabaseClock:
    clock = DatabaseClock(monotonic=monotonic)
    clock.observe(START)
    return clock


def test_a_clock_that_runs_as_it_should_is_followed(clock: DatabaseClock, monotonic: Monotonic) -> None:
    monotonic.seconds = 3600
    told = START + timedelta(seconds=3602)
    assert clock.observe(told) == told
    assert clock.now() == told
    assert clock.jump_seconds == 0


@pytest.mark.parametrize("jump", [FORTY_DAYS, -FORTY_DAYS])
def test_a_jump_of_ten_seconds_starts_nothing(clock: DatabaseClock, monotonic: Monotonic, jump: timedelta) -> None:
    for second in range(1, 11):
        monotonic.seconds = second
        expected = START + timedelta(seconds=second)
        assert clock.observe(expected + jump) == expected
        assert clock.jump_seconds == jump.total_seconds()
    monotonic.seconds = 11
    back = START + timedelta(seconds=11)
    assert clock.observe(back) == back
    assert clock.jump_seconds == 0


def test_a_new_time_told_steadily_is_believed_in_the_end(clock: DatabaseClock, monotonic: Monotonic) -> None:
    for second in range(1, int(CONFIRM_SECONDS) + 1):
        monotonic.seconds = second
        clock.observe(START + FORTY_DAYS + timedelta(seconds=second))
        assert clock.jump_seconds == FORTY_DAYS.total_seconds()
    monotonic.seconds = CONFIRM_SECONDS + 1
    told = START + FORTY_DAYS + timedelta(seconds=monotonic.seconds)
    assert clock.observe(told) == told
    assert clock.jump_seconds == 0


def test_a_clock_that_jumps_to_and_fro_is_never_believed(clock: DatabaseClock, monotonic: Monotonic) -> None:
    for second in range(1, 300):
        monotonic.seconds = second
        expected = START + timedelta(seconds=second)
        assert clock.observe(expected + second * FORTY_DAYS) == expected


@pytest.mark.parametrize("rest", [timedelta(days=4), FORTY_DAYS])
def test_a_start_long_after_the_last_event_doubts_the_time_of_accounts_and_not_that_of_holds(
    monotonic: Monotonic, rest: timedelta
) -> None:
    clock = DatabaseClock(monotonic=monotonic)
    assert clock.observe(START + rest, START) == START
    for second in range(1, int(CONFIRM_SECONDS)):
        monotonic.seconds = second
        elapsed = timedelta(seconds=second)
        assert clock.observe(START + rest + elapsed, START) == START + elapsed
        assert (clock.now(), clock.hold_time()) == (START + elapsed, START + rest + elapsed)
        assert not clock.can_end_holds(LIFE)
    monotonic.seconds = CONFIRM_SECONDS + 1
    told = START + rest + timedelta(seconds=monotonic.seconds)
    assert clock.observe(told, START) == told
    assert clock.hold_time() == told
    assert clock.can_end_holds(LIFE)


def test_a_start_whose_clock_is_put_right_within_seconds_has_ended_nothing(monotonic: Monotonic) -> None:
    clock = DatabaseClock(monotonic=monotonic)
    clock.observe(START + FORTY_DAYS, START - timedelta(hours=1))
    monotonic.seconds = 10
    right = START + timedelta(seconds=10)
    clock.observe(right)
    assert clock.hold_time() == right
    assert not clock.can_end_holds(LIFE)
    monotonic.seconds = 10 + CONFIRM_SECONDS
    confirmed = START + timedelta(seconds=monotonic.seconds)
    assert clock.observe(confirmed) == confirmed
    assert clock.can_end_holds(LIFE)


def test_a_start_before_the_last_event_ends_holds_by_the_later_of_the_two_times(monotonic: Monotonic) -> None:
    clock = DatabaseClock(monotonic=monotonic)
    assert clock.observe(START - FORTY_DAYS, START) == START
    assert clock.hold_time() == START


def test_a_start_is_believed_at_once_where_another_machine_s_clock_agrees(monotonic: Monotonic) -> None:
    told = START + FORTY_DAYS
    ahead = told + timedelta(milliseconds=5)
    assert DatabaseClock(monotonic=monotonic).observe(told, START, (ahead, ahead + timedelta(seconds=1))) == told


def test_a_start_is_not_believed_where_the_clock_that_agrees_may_be_the_same_one(monotonic: Monotonic) -> None:
    told = START + FORTY_DAYS
    around = (told - timedelta(milliseconds=1), told + timedelta(milliseconds=1))
    assert DatabaseClock(monotonic=monotonic).observe(told, START, around) == START


def test_a_start_is_not_believed_where_another_machine_s_clock_says_something_else(monotonic: Monotonic) -> None:
    elsewhere = (START + timedelta(hours=1), START + timedelta(hours=1, seconds=1))
    assert DatabaseClock(monotonic=monotonic).observe(START + FORTY_DAYS, START, elsewhere) == START


def test_holds_granted_while_a_jump_was_doubted_get_their_life_once_it_is_believed(
    clock: DatabaseClock, monotonic: Monotonic
) -> None:
    """As on a machine that was suspended for days: they end by the time of before."""
    for second in range(1, int(CONFIRM_SECONDS) + 2):
        monotonic.seconds = second
        assert clock.hold_time() == START + timedelta(seconds=second)
        clock.observe(START + FORTY_DAYS + timedelta(seconds=second))
        assert not clock.can_end_holds(LIFE)
    assert clock.jump_seconds == 0
    monotonic.seconds += LIFE.total_seconds() - 1
    assert not clock.can_end_holds(LIFE)
    monotonic.seconds += 1
    assert clock.can_end_holds(LIFE)


def test_a_start_after_a_weekend_does_not(monotonic: Monotonic) -> None:
    clock = DatabaseClock(monotonic=monotonic)
    assert clock.observe(START + timedelta(days=2), START) == START + timedelta(days=2)


@pytest.mark.parametrize("steps", [(3_600,), (3_600, 1_800)], ids=["ahead", "ahead and half of it back"])
def test_holds_granted_before_a_doubted_start_moved_once_more_get_their_life(
    monotonic: Monotonic, steps: tuple[int, ...]
) -> None:
    """Off for five days, the machine's clock an hour slow, and put right by NTP within a minute of the start."""
    clock = DatabaseClock(monotonic=monotonic)
    told = START + timedelta(days=5)
    clock.observe(told, last_event_at=START)
    for step in steps:
        monotonic.seconds += 20
        clock.observe(told + timedelta(seconds=step + monotonic.seconds))
    monotonic.seconds += CONFIRM_SECONDS
    right = told + timedelta(seconds=steps[-1] + monotonic.seconds)
    assert clock.observe(right) == right
    assert clock.jump_seconds == 0
    assert not clock.can_end_holds(LIFE)
    monotonic.seconds += LIFE.total_seconds()
    assert clock.can_end_holds(LIFE)
