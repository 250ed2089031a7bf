"""A database clock that jumps is not believed at once."""

from datetime import UTC, datetime, timedelta

import pytest
from ledger.application.database_clock import CONFIRM_SECONDS, DatabaseClock

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
FORTY_DAYS = timedelta(days=40)


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


def test_a_start_long_after_the_last_event_waits_for_confirmation(monotonic: Monotonic) -> None:
    clock = DatabaseClock(monotonic=monotonic)
    assert clock.observe(START + FORTY_DAYS, START) == START
    monotonic.seconds = CONFIRM_SECONDS + 1
    told = START + FORTY_DAYS + timedelta(seconds=monotonic.seconds)
    assert clock.observe(told, START) == told


def test_a_start_after_a_weekend_does_not(monotonic: Monotonic) -> None:
    clock = DatabaseClock(monotonic=monotonic)
    assert clock.observe(START + timedelta(days=2), START) == START + timedelta(days=2)
