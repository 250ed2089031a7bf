"""While a part is away one attempt after the other looks for it; when it is back, all go at once."""

from notifier.domain.outage import Outage
from notifier.domain.retries import RetryPolicy

POLICY = RetryPolicy(first_delay_seconds=5, longest_outage_delay_seconds=15)


def test_nothing_holds_attempts_back_while_all_is_well() -> None:
    assert Outage(POLICY).admit(16, now=100) == 16


def test_one_attempt_after_the_other_and_never_far_apart() -> None:
    outage = Outage(POLICY)
    now, waits = 100.0, [outage.failed(100.0).total_seconds()]
    for _ in range(4):
        assert outage.admit(16, now=now + waits[-1] - 0.1) == 0
        now += waits[-1]
        assert outage.admit(0, now=now) == 0
        assert outage.admit(16, now=now) == 1
        assert outage.admit(16, now=now) == 0
        waits.append(outage.failed(now).total_seconds())
    assert waits == [5, 10, 15, 15, 15]


def test_attempts_that_were_under_way_change_nothing() -> None:
    outage = Outage(POLICY)
    assert [outage.failed(now).total_seconds() for now in (100.0, 101.0, 104.0, 110.0)] == [5, 4, 1, 0]
    assert outage.admit(16, now=105.0) == 1


def test_an_attempt_that_never_ends_keeps_nobody_from_the_next() -> None:
    outage = Outage(POLICY)
    outage.failed(100)
    assert [outage.admit(16, now=now) for now in (105, 106, 115, 116, 130)] == [1, 0, 1, 0, 1]


def test_a_sign_of_life_ends_it() -> None:
    outage = Outage(POLICY)
    outage.failed(100)
    outage.answered()
    assert outage.admit(16, now=100) == 16
    assert outage.failed(101).total_seconds() == 5
