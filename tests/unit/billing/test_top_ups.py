"""Auto top-up buys when it should, and never in a loop."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from billing.domain.top_ups import (
    Buy,
    CapTooLowError,
    Package,
    Pause,
    TopUp,
    TopUpFacts,
    UselessTopUpError,
    Wait,
    check_top_up,
    decide,
)
from contracts.events.billing import TopUpPause
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
COOL_DOWN: Final = timedelta(hours=1)
TOP_UP: Final = TopUp(
    account_id="ana", package_id="small", currency="brl", below_tokens=100_000, monthly_cap_minor=20_000
)
PACKAGE: Final = Package(tokens=500_000, amount_minor=7_490)
LOW: Final = TopUpFacts(
    balance_tokens=99_999,
    is_active=True,
    spent_minor=0,
    has_open_order=False,
    taken_back=False,
    failures=0,
    needs_owner=False,
    last_tried_at=None,
    as_of=NOW,
)


def decided(top_up: TopUp = TOP_UP, package: Package = PACKAGE, **facts: object) -> Buy | Pause | Wait:
    return decide(top_up, package, replace(LOW, **facts), COOL_DOWN)


def test_it_buys_once_less_than_the_threshold_is_left() -> None:
    assert decided() == Buy()
    assert decided(balance_tokens=100_000) is Wait.ENOUGH_LEFT


def test_who_may_use_nothing_is_bought_nothing() -> None:
    assert decided(is_active=False) is Wait.NOT_ACTIVE


def test_one_at_a_time() -> None:
    assert decided(has_open_order=True) is Wait.ORDER_OPEN


def test_after_an_attempt_it_cools_down() -> None:
    assert decided(last_tried_at=NOW, as_of=NOW + COOL_DOWN - timedelta(seconds=1)) is Wait.COOLING_DOWN
    assert decided(last_tried_at=NOW, as_of=NOW + COOL_DOWN) == Buy()


def test_it_stays_within_its_monthly_cap() -> None:
    assert decided(spent_minor=20_000 - 7_490) == Buy()
    assert decided(spent_minor=20_000 - 7_489) is Wait.CAP_REACHED


def test_a_debt_that_the_package_does_not_lift_is_not_topped_up() -> None:
    assert decided(balance_tokens=-400_000) is Wait.WOULD_NOT_HELP
    assert decided(balance_tokens=-399_999) == Buy()


def test_a_refund_of_one_pauses_it() -> None:
    assert decided(taken_back=True) == Pause(TopUpPause.TAKEN_BACK)


def test_two_failures_in_a_row_pause_it_however_much_is_left() -> None:
    assert decided(failures=1) == Buy()
    assert decided(failures=2) == Pause(TopUpPause.FAILED_TWICE)
    assert decided(failures=2, balance_tokens=10**6) == Pause(TopUpPause.FAILED_TWICE)


def test_a_card_that_needs_its_owner_pauses_it_however_much_is_left() -> None:
    assert decided(failures=1, needs_owner=True) == Pause(TopUpPause.AUTHENTICATION_REQUIRED)
    assert decided(failures=1, needs_owner=True, balance_tokens=10**6) == Pause(TopUpPause.AUTHENTICATION_REQUIRED)


def test_what_is_paused_buys_nothing_and_says_nothing_again() -> None:
    assert decided(replace(TOP_UP, paused_for=TopUpPause.FAILED_TWICE), failures=2, taken_back=True) is Wait.PAUSED


def test_a_package_that_does_not_lift_an_empty_balance_above_the_threshold_is_refused() -> None:
    check_top_up(replace(TOP_UP, below_tokens=499_999), PACKAGE)
    with pytest.raises(UselessTopUpError):
        check_top_up(replace(TOP_UP, below_tokens=500_000), PACKAGE)


def test_a_cap_below_the_price_is_refused() -> None:
    with pytest.raises(CapTooLowError):
        check_top_up(replace(TOP_UP, monthly_cap_minor=7_489), PACKAGE)


@given(
    pauses=st.lists(st.integers(0, 7_200), min_size=1, max_size=1_000),
    balances=st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=20),
)
def test_a_failing_card_is_tried_twice_at_most_however_much_is_used(pauses: list[int], balances: list[int]) -> None:
    now, tries = NOW, list[datetime]()
    for number, seconds in enumerate(pauses):
        now += timedelta(seconds=seconds)
        last = tries[-1] if tries else None
        balance = balances[number % len(balances)]
        if decided(balance_tokens=balance, failures=len(tries), last_tried_at=last, as_of=now) == Buy():
            tries.append(now)
    assert len(tries) <= 2


@given(pauses=st.lists(st.integers(0, 86_400), max_size=400), affordable=st.integers(1, 10))
def test_what_is_paid_in_a_month_never_exceeds_the_cap(pauses: list[int], affordable: int) -> None:
    top_up = replace(TOP_UP, monthly_cap_minor=PACKAGE.amount_minor * affordable + 1)
    now, last, spent = NOW, None, 0
    for seconds in pauses:
        now += timedelta(seconds=seconds)
        if decided(top_up, spent_minor=spent, last_tried_at=last, as_of=now) == Buy():
            spent += PACKAGE.amount_minor
            last = now
    assert spent <= top_up.monthly_cap_minor
