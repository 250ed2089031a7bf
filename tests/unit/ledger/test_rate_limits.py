"""Rate limits by GCRA: requests and billable tokens per minute, bursts of one minute's worth, corrected by usage."""

from datetime import timedelta

import pytest
from contracts.errors import RefusalCode
from contracts.reservations import Refused
from ledger.domain.rate_limits import give_back_pace, pace

from tests.unit.ledger.story import (
    START,
    Story,
    granted,
    limit,
    not_forwarded,
    opened,
    plan,
    rate_limits,
    refused,
    reserve,
    settle,
)


def limited(story: Story, reservation_id: str, tokens: int = 1) -> Refused:
    answer = refused(story.when(reserve(reservation_id, prompt=tokens, output_free=True)))
    assert (answer.code, story.events) == (RefusalCode.RATE_LIMITED, ())
    return answer


def test_without_limits_nothing_waits() -> None:
    story = Story()
    for number in range(300):
        granted(story.when(reserve(f"r{number}", prompt=1, output_free=True)))
    assert story.account.requests_allowed_at is None


def test_a_minute_s_worth_passes_at_once_and_the_next_waits() -> None:
    story = Story().given(rate_limits(requests=30))
    for number in range(30):
        granted(story.when(reserve(f"r{number}", prompt=1, output_free=True)))
    assert limited(story, "r30").retry_after_seconds == 2
    story.after(seconds=2)
    granted(story.when(reserve("r30", prompt=1, output_free=True)))
    assert limited(story, "r31").retry_after_seconds == 2


def test_the_wait_that_is_told_is_enough() -> None:
    story = Story().given(rate_limits(requests=7))
    for number in range(7):
        granted(story.when(reserve(f"r{number}", prompt=1, output_free=True)))
    story.after(milliseconds=100)
    seconds = limited(story, "next").retry_after_seconds
    assert seconds == 9  # 60 / 7 s less 0.1 s, rounded up
    story.after(seconds=seconds)
    granted(story.when(reserve("next", prompt=1, output_free=True)))


def test_over_an_hour_no_more_pass_than_the_rate_and_one_burst() -> None:
    story = Story().given(limit(1_000_000), rate_limits(requests=10))
    passed = 0
    for number in range(3_600):
        answer = story.after(seconds=1).when(reserve(f"r{number}", prompt=1, output_free=True))
        passed += not isinstance(answer, Refused)
        story.given(settle(f"r{number}", prompt=1)) if not isinstance(answer, Refused) else None
    assert 600 <= passed <= 610


def test_tokens_count_the_hold() -> None:
    story = Story().given(rate_limits(tokens=600))
    granted(story.when(reserve("r1", prompt=600, output_free=True)))
    assert limited(story, "r2", 60).retry_after_seconds == 6


def test_settlement_gives_back_what_was_not_used() -> None:
    story = Story().given(rate_limits(tokens=600), reserve("r1", prompt=600, output_free=True), settle("r1", prompt=60))
    granted(story.when(reserve("r2", prompt=540, output_free=True)))
    limited(story, "r3", 10)


@pytest.mark.parametrize("nothing", [not_forwarded("r1"), settle("r1")])
def test_a_call_that_used_nothing_gives_all_back(nothing: object) -> None:
    story = Story().given(rate_limits(tokens=600), reserve("r1", prompt=600, output_free=True))
    story.given(nothing)  # type: ignore[arg-type]  # a settlement
    granted(story.when(reserve("r2", prompt=600, output_free=True)))


def test_usage_beyond_the_hold_counts_too() -> None:
    story = Story().given(rate_limits(tokens=600), reserve("r1", prompt=300, output_free=True))
    story.given(settle("r1", prompt=600))
    limited(story, "r2", 1)


def test_requests_are_not_given_back() -> None:
    story = Story().given(rate_limits(requests=1), reserve("r1", prompt=1), not_forwarded("r1"))
    limited(story, "r2")


def test_an_idle_limiter_saves_up_one_minute_at_most() -> None:
    story = Story().given(rate_limits(requests=2), reserve("r0", prompt=1, maximum=1)).after(hours=5)
    for number in (1, 2):
        granted(story.when(reserve(f"r{number}", prompt=1, output_free=True)))
    limited(story, "r3")


def test_a_call_larger_than_a_minute_passes_when_idle_and_is_waited_for() -> None:
    story = Story().given(rate_limits(tokens=600))
    granted(story.when(reserve("big", prompt=1_800, output_free=True)))
    assert limited(story, "next", 600).retry_after_seconds == 180
    assert limited(story, "bigger", 1_200).retry_after_seconds == 180
    story.after(seconds=180)
    granted(story.when(reserve("bigger", prompt=1_200, output_free=True)))


def test_a_refused_call_paces_nothing() -> None:
    story = Story().given(rate_limits(requests=1, tokens=100), reserve("r1", prompt=100, output_free=True))
    before = story.account
    for number in range(5):
        limited(story, f"n{number}")
    assert story.account == before


def test_the_longer_wait_is_told() -> None:
    story = Story().given(rate_limits(requests=60, tokens=600), reserve("r1", prompt=600, output_free=True))
    assert limited(story, "r2", 300).retry_after_seconds == 30


def test_a_balance_that_cannot_cover_the_call_is_told_before_a_limit() -> None:
    story = Story().given(rate_limits(requests=1), reserve("r1", prompt=1, output_free=True))
    assert refused(story.when(reserve("r2", prompt=20_000))).code is RefusalCode.INSUFFICIENT_TOKENS


def test_a_plan_brings_its_limits() -> None:
    story = Story().given(opened("paced"))
    for number in range(2):
        granted(story.when(reserve(f"r{number}", prompt=1, output_free=True)))
    limited(story, "r2")


def test_changed_limits_start_afresh() -> None:
    story = Story().given(rate_limits(requests=1), reserve("r1", prompt=1, output_free=True), rate_limits(requests=60))
    granted(story.when(reserve("r2", prompt=1, output_free=True)))


def test_a_changed_plan_s_limits_start_afresh() -> None:
    story = Story().given(rate_limits(requests=1, tokens=1), reserve("r1", prompt=5_000, output_free=True))
    story.given(plan("paced"))
    granted(story.when(reserve("r2", prompt=1, output_free=True)))


def test_the_same_plan_again_keeps_the_limiters() -> None:
    story = Story().given(opened("paced"), reserve("r1", prompt=600, output_free=True), limit(500_000), plan("paced"))
    limited(story, "r2", 600)


@pytest.mark.parametrize("tokens", [2**53, 10**12])
def test_absurd_amounts_stay_within_the_calendar(tokens: int) -> None:
    passed = pace(None, 1, tokens, START)
    assert passed.retry_after is None
    assert passed.allowed_at is not None
    assert give_back_pace(START, 1, -tokens) is not None
    assert give_back_pace(START, 1, tokens) is not None


def test_giving_back_without_a_limiter_is_nothing() -> None:
    assert give_back_pace(None, 10, 5) is None
    assert give_back_pace(START, None, 5) is None
    assert give_back_pace(START, 60, 5) == START - timedelta(seconds=5)


def test_a_hold_of_an_ended_limiter_settles_without_one() -> None:
    story = Story().given(rate_limits(tokens=600), reserve("r1", prompt=600, output_free=True), rate_limits())
    story.given(settle("r1", prompt=1))
    assert (story.account.tokens_allowed_at, story.balance.monthly_used) == (None, 1)
