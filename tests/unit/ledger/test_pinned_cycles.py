"""A call belongs to the cycle that admitted it: its remainder is kept for it, the new allowance is never touched."""

from contracts.events.accounts import CycleStarted
from contracts.events.charges import LotTokens
from contracts.events.notices import AllowanceExhausted, ThresholdCrossed
from contracts.events.reservations import UsageSettled

from tests.unit.ledger.story import (
    Story,
    grant,
    granted,
    limit,
    not_forwarded,
    opened,
    reserve,
    settle,
    thresholds,
    used,
)


def across(story: Story, *, tokens: int, reservation_id: str = "r1") -> Story:
    """A hold of `tokens` that is open when the next cycle starts."""
    story.given(reserve(reservation_id, prompt=tokens, output_free=True))
    return story.at(story.balance.cycle.ends_at)


def test_a_hold_of_an_ended_cycle_takes_that_cycle_s_remainder() -> None:
    story = across(Story(), tokens=4_000).given(settle("r1", prompt=3_000))
    (settled,) = story.happened(UsageSettled)
    assert (settled.from_allowance, settled.cycle_id) == (3_000, "2026-01-10")
    assert (story.balance.monthly_used, story.balance.available) == (0, 10_000)
    assert story.account.closed_cycles == ()


def test_the_closed_cycle_s_remainder_is_on_the_event() -> None:
    story = across(Story().given(opened(), *used("r0", 2_500)), tokens=4_000).given(settle("r1", prompt=1))
    (started,) = story.logged(CycleStarted)
    assert (started.closed_cycle_id, started.closed_cycle_remaining) == ("2026-01-10", 7_500)
    assert (started.monthly_limit, started.cycle.id) == (10_000, "2026-02-10")


def test_a_covered_hold_of_an_ended_cycle_does_not_count_against_the_new_one() -> None:
    story = across(Story(), tokens=4_000)
    assert (story.balance.held, story.balance.available) == (0, 10_000)


def test_beyond_the_remainder_come_credits_then_debt_never_the_new_allowance() -> None:
    story = across(Story().given(opened(), grant("lot", 100), *used("r0", 9_800)), tokens=250)
    assert (story.balance.held, story.balance.credits, story.balance.available) == (50, 100, 10_050)
    story.given(settle("r1", prompt=400))
    (settled,) = story.happened(UsageSettled)
    assert (settled.from_allowance, settled.to_debt) == (200, 100)
    assert settled.from_credits == (LotTokens(lot_id="lot", tokens=100, ordinal=2),)
    assert (story.balance.monthly_used, story.balance.debt, story.balance.available) == (0, 100, 9_900)


def test_credits_that_a_hold_of_an_ended_cycle_needs_are_not_given_to_a_new_one() -> None:
    story = across(Story().given(opened(), grant("lot", 100), *used("r0", 9_800)), tokens=300)
    story.given(limit(0))
    assert story.balance.available == 0
    assert not hasattr(story.when(reserve("r2", prompt=1, output_free=True)), "held_tokens")
    story.given(settle("r1", prompt=300))
    assert (story.balance.credits, story.balance.debt, story.balance.available) == (0, 0, 0)


def test_two_holds_share_the_remainder_in_the_order_in_which_they_end() -> None:
    story = Story().given(opened(), grant("lot", 500), *used("r0", 9_700))
    story.given(reserve("a", prompt=200, output_free=True), reserve("b", prompt=200, output_free=True)).after(days=31)
    story.given(settle("b", prompt=200), settle("a", prompt=200))
    (settled,) = story.happened(UsageSettled)
    assert settled.from_allowance == 100
    assert (story.balance.credits, story.balance.monthly_used) == (400, 0)


def test_a_released_hold_of_an_ended_cycle_frees_only_that_cycle() -> None:
    story = across(Story(), tokens=4_000).given(not_forwarded("r1"))
    assert (story.balance.held, story.balance.available, story.account.all_open_holds) == (0, 10_000, 0)


def test_the_remainder_lapses_with_its_last_hold() -> None:
    story = across(Story(), tokens=100).given(settle("r1", prompt=1))
    assert story.balance.available == 10_000
    assert story.account.closed_cycles == ()


def test_holds_of_several_cycles_are_kept_apart() -> None:
    story = across(across(Story(), tokens=100, reservation_id="january"), tokens=200, reservation_id="february")
    story.given(reserve("march", prompt=300, output_free=True))
    assert [closed.id for closed in story.account.closed_cycles] == ["2026-01-10", "2026-02-10"]
    assert (story.balance.held, story.account.all_open_holds) == (300, 3)
    story.given(settle("february", prompt=200), settle("january", prompt=100), settle("march", prompt=300))
    assert (story.balance.monthly_used, story.balance.held, story.account.closed_cycles) == (300, 0, ())


def test_a_hold_survives_several_missed_cycles() -> None:
    story = Story().given(reserve("r1", prompt=100, output_free=True)).after(days=100).given(settle("r1", prompt=70))
    (settled,) = story.happened(UsageSettled)
    assert (settled.cycle_id, settled.from_allowance) == ("2026-01-10", 70)
    assert len(story.logged(CycleStarted)) == 3
    assert (story.balance.monthly_used, story.balance.available) == (0, 10_000)


def test_a_closed_cycle_raises_no_thresholds() -> None:
    story = across(Story(), tokens=10_000).given(settle("r1", prompt=10_000))
    assert (story.logged(ThresholdCrossed), story.logged(AllowanceExhausted)) == ([], [])


def test_cycles_that_were_missed_raise_no_thresholds() -> None:
    story = Story().given(limit(1_000), settle("r1", prompt=2_950))
    before = len(story.logged(ThresholdCrossed))
    story.after(days=61).given(thresholds(50))
    crossed = story.logged(ThresholdCrossed)[before:]
    # Of 1,950 debt the cycle that nobody saw repaid 1,000; the one that runs repaid 950 and tells it.
    assert [(event.percent, event.cycle_id) for event in crossed] == [
        (80, "2026-03-10"),
        (90, "2026-03-10"),
        (95, "2026-03-10"),
    ]


def test_a_hold_made_at_the_last_instant_belongs_to_the_ending_cycle() -> None:
    story = Story().given(opened())
    ends_at = story.balance.cycle.ends_at
    story.at(ends_at).after(microseconds=-1)
    granted(story.when(reserve("last", prompt=10, output_free=True)))
    story.at(ends_at)
    granted(story.when(reserve("first", prompt=10, output_free=True)))
    assert (story.holds["last"].cycle_id, story.holds["first"].cycle_id) == ("2026-01-10", "2026-02-10")
