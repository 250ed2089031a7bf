"""Thresholds of the allowance: each once per cycle, in order, exactly at its percentage; and the allowance's end."""

import pytest
from contracts.errors import InvalidError
from contracts.events.notices import AllowanceExhausted, ThresholdCrossed

from tests.unit.ledger.story import (
    Story,
    expire,
    grant,
    limit,
    opened,
    plan,
    reserve,
    settle,
    thresholds,
    used,
)


def percents(story: Story) -> list[int]:
    """Crossed by the last command."""
    return [event.percent for event in story.happened(ThresholdCrossed)]


def all_percents(story: Story) -> list[int]:
    return [event.percent for event in story.logged(ThresholdCrossed)]


@pytest.mark.parametrize(("used_tokens", "crossed"), [(7_999, []), (8_000, [80]), (8_999, [80]), (9_000, [80, 90])])
def test_a_threshold_is_crossed_exactly_at_its_percentage(used_tokens: int, crossed: list[int]) -> None:
    assert all_percents(Story().given(opened(), *used("r1", used_tokens))) == crossed


def test_uneven_limits_are_not_rounded() -> None:
    story = Story().given(limit(333), *used("r1", 266))  # 80 % is 266.4
    assert percents(story) == []
    assert percents(story.given(*used("r2", 1))) == [80]


def test_each_is_told_once_however_many_calls_follow() -> None:
    story = Story().given(opened())
    for number in range(100):
        story.given(*used(f"r{number}", 100))
    assert all_percents(story) == [80, 90, 95, 100]


def test_a_jump_tells_each_in_order_in_one_decision() -> None:
    story = Story().given(opened(), *used("r1", 10_000))
    assert percents(story) == [80, 90, 95, 100]
    first = story.happened(ThresholdCrossed)[0]
    assert (first.monthly_used, first.monthly_limit, first.credits) == (10_000, 10_000, 0)
    assert (first.cycle_id, first.resets_at) == ("2026-01-10", story.balance.cycle.ends_at)


def test_ten_calls_that_cross_at_the_same_moment_tell_once() -> None:
    story = Story().given(opened(), *used("r", 7_500))
    story.given(*(reserve(f"r{number}", prompt=100, output_free=True) for number in range(10)))
    story.given(*(settle(f"r{number}", prompt=100) for number in range(10)))
    assert all_percents(story) == [80]


def test_holds_cross_nothing() -> None:
    assert all_percents(Story().given(reserve("r1", prompt=10_000, output_free=True))) == []


def test_expiry_crosses_them() -> None:
    story = Story().given(reserve("r1", prompt=8_500, output_free=True)).after(hours=1).given(expire("r1"))
    assert percents(story) == [80]


def test_corrections_never_rearm() -> None:
    story = Story().given(reserve("r1", prompt=8_500, output_free=True)).after(hours=1).given(expire("r1"))
    story.given(settle("r1", prompt=100), *used("r2", 8_500))
    assert all_percents(story) == [80]


def test_a_correction_upwards_crosses_them() -> None:
    story = Story().given(reserve("r1", prompt=7_900, output_free=True)).after(hours=1).given(expire("r1"))
    assert percents(story.given(settle("r1", prompt=9_100))) == [80, 90]


def test_a_new_cycle_rearms_all() -> None:
    story = Story().given(opened(), *used("r1", 9_600)).after(days=31).given(*used("r2", 9_600))
    assert all_percents(story) == [80, 90, 95, 80, 90, 95]


def test_a_raised_limit_rearms_those_above_the_new_percentage() -> None:
    story = Story().given(opened(), *used("r1", 9_600), limit(11_000))  # 87 %
    assert percents(story) == []
    assert percents(story.given(*used("r2", 1_300))) == [90, 95]


def test_a_bigger_plan_rearms_too() -> None:
    story = Story().given(opened(), *used("r1", 10_000), plan("premium"), *used("r2", 6_000))
    assert all_percents(story) == [80, 90, 95, 100, 80]


def test_a_lowered_limit_fires_what_it_passes_and_rearms_nothing() -> None:
    story = Story().given(opened(), *used("r1", 8_000), limit(8_500))
    assert percents(story) == [90]
    assert percents(story.given(limit(8_000))) == [95, 100]
    assert percents(story.given(limit(7_000))) == []


def test_a_smaller_plan_fires_too() -> None:
    assert percents(Story().given(opened("premium"), *used("r1", 9_000), plan("basic"))) == [80, 90]


def test_a_limit_of_zero_has_none() -> None:
    story = Story().given(opened(), *used("r1", 5_000), limit(0))
    assert percents(story) == []
    assert story.happened(AllowanceExhausted) == []
    story.given(settle("r2", prompt=10))
    assert story.happened(ThresholdCrossed) == []


def test_credits_cross_nothing_more() -> None:
    story = Story().given(opened(), *used("r1", 10_000), grant("lot", 5_000), *used("r2", 4_000))
    assert percents(story) == []


def test_an_account_may_have_its_own() -> None:
    story = Story().given(thresholds(50, 10, 50), *used("r1", 5_000))
    assert percents(story) == [10, 50]
    assert story.account.thresholds == (10, 50)


def test_an_account_may_have_none() -> None:
    story = Story().given(thresholds(), *used("r1", 10_000))
    assert percents(story) == []
    (exhausted,) = story.happened(AllowanceExhausted)
    assert exhausted.announced_by_threshold is False


def test_a_threshold_that_is_passed_already_is_told_with_the_next_change() -> None:
    story = Story().given(opened(), *used("r1", 6_000), thresholds(50, 80))
    assert percents(story) == []
    assert percents(story.given(*used("r2", 1))) == [50]


def test_a_threshold_that_comes_back_is_not_told_again() -> None:
    story = Story().given(opened(), *used("r1", 8_000), thresholds(90), thresholds(80, 90), *used("r2", 1))
    assert all_percents(story) == [80]


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_threshold_is_a_percentage(percent: int) -> None:
    with pytest.raises(InvalidError):
        Story().when(thresholds(percent))


class TestAllowanceExhausted:
    """Told with the change that brings the remainder to 0."""

    def test_it_goes_with_the_hundred_percent_threshold(self) -> None:
        story = Story().given(opened(), *used("r1", 10_000))
        (event,) = story.happened(AllowanceExhausted)
        assert event.announced_by_threshold is True
        assert (event.monthly_used, event.monthly_limit, event.credits) == (10_000, 10_000, 0)

    def test_it_comes_once_and_names_the_credits_left(self) -> None:
        story = Story().given(opened(), grant("lot", 500), *used("r1", 10_100), *used("r2", 100))
        (event,) = story.logged(AllowanceExhausted)
        assert event.credits == 400

    def test_it_comes_again_in_the_next_cycle(self) -> None:
        story = Story().given(opened(), *used("r1", 10_000)).after(days=31).given(*used("r2", 10_000))
        assert len(story.logged(AllowanceExhausted)) == 2

    def test_a_lowered_limit_may_bring_it(self) -> None:
        story = Story().given(opened(), *used("r1", 6_000), limit(6_000))
        (event,) = story.happened(AllowanceExhausted)
        assert event.announced_by_threshold is True

    def test_a_cycle_whose_whole_allowance_repays_debt_tells_it(self) -> None:
        story = Story().given(limit(1_000), settle("r1", prompt=3_000)).after(days=31)
        story.given(opened())
        assert percents(story) == [80, 90, 95, 100]
        assert len(story.happened(AllowanceExhausted)) == 1
