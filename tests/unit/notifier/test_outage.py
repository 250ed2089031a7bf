"""While a part is away one attempt at a time looks for it; when it is back, all go at once."""

from notifier.domain.outage import Outage
from notifier.domain.retries import RetryPolicy

POLICY = RetryPolicy(first_delay_seconds=5, longest_outage_delay_seconds=15)


def test_nothing_holds_attempts_back_while_all_is_well() -> None:
    assert Outage(POLICY).allowed(16, busy=True, now=100) == 16


def test_one_attempt_at_a_time_and_never_far_apart() -> None:
    outage = Outage(POLICY)
    now, waits = 100.0, []
    for _ in range(5):
        waits.append(outage.failed(now).total_seconds())
        assert outage.allowed(16, busy=False, now=now + waits[-1] - 0.1) == 0
        now += waits[-1]
        assert outage.allowed(16, busy=True, now=now) == 0
        assert outage.allowed(16, busy=False, now=now) == 1
        assert outage.allowed(0, busy=False, now=now) == 0
    assert waits == [5, 10, 15, 15, 15]


def test_attempts_that_were_under_way_count_once() -> None:
    outage = Outage(POLICY)
    assert [outage.failed(now).total_seconds() for now in (100.0, 101.0, 102.0)] == [5, 4, 3]
    assert outage.failed(105.0).total_seconds() == 10


def test_a_sign_of_life_ends_it() -> None:
    outage = Outage(POLICY)
    outage.failed(100)
    outage.answered()
    assert outage.allowed(16, busy=True, now=100) == 16
    assert outage.failed(101).total_seconds() == 5
