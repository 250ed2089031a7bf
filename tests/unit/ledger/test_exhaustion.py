"""Out of tokens is told once, however many calls are refused, and once again when access returns."""

from datetime import timedelta

import pytest
from contracts.events.notices import AccessRestored, TokensExhausted
from contracts.events.reservations import TokensReserved
from ledger.domain.commands import SettleUsage
from msgspec.structs import replace

from tests.unit.ledger.story import (
    START,
    Story,
    expire,
    grant,
    limit,
    opened,
    plan,
    refused,
    reserve,
    revoke,
    settle,
    used,
)


def out() -> Story:
    story = Story().given(opened(), *used("r1", 9_900))
    assert len(story.happened(TokensExhausted)) == 1
    return story


def test_below_the_smallest_call_the_account_is_exhausted() -> None:
    assert Story().given(opened(), *used("r1", 9_712)).logged(TokensExhausted) == []
    (event,) = Story().given(opened(), *used("r1", 9_713)).logged(TokensExhausted)
    assert (event.monthly_used, event.monthly_limit, event.credits, event.debt) == (9_713, 10_000, 0, 0)
    assert event.cycle_id == "2026-01-10"


def test_credits_keep_it_from_being_exhausted() -> None:
    story = Story().given(opened(), grant("lot", 500), *used("r1", 10_000))
    assert story.logged(TokensExhausted) == []
    assert len(story.given(*used("r2", 300)).happened(TokensExhausted)) == 1


def test_it_is_told_once_however_many_calls_are_refused() -> None:
    story = out()
    for number in range(50):
        refused(story.when(reserve(f"n{number}", prompt=1_000)))
        assert story.events == ()


def test_a_call_refused_for_its_size_exhausts_nothing_and_says_so() -> None:
    story = Story().given(opened(), *used("r1", 5_000))
    figures = refused(story.when(reserve("r2", prompt=5_001, output_free=True))).figures
    assert figures is not None
    assert (figures.exhausted, story.events, story.account.exhausted) == (False, (), False)


def test_it_is_told_when_people_are_really_out_whatever_was_refused_before() -> None:
    story = Story().given(opened(), *used("r1", 5_000))
    refused(story.when(reserve("r2", prompt=9_000, output_free=True)))
    assert len(story.given(*used("r3", 4_900)).happened(TokensExhausted)) == 1
    figures = refused(story.when(reserve("r4", prompt=9_000, output_free=True))).figures
    assert figures is not None
    assert figures.exhausted


def test_holds_are_ignored() -> None:
    story = Story().given(reserve("r1", prompt=9_900, output_free=True))
    refused(story.when(reserve("r2", prompt=500, output_free=True)))
    assert story.logged(TokensExhausted) == []


def test_it_bars_nothing_that_fits() -> None:
    assert hasattr(out().when(reserve("small", prompt=10, maximum=20)), "held_tokens")


@pytest.mark.parametrize("restoring", [grant("lot", 188), limit(10_188), plan("premium")])
def test_a_grant_a_limit_or_a_plan_restores_once(restoring: object) -> None:
    story = out().given(restoring)  # type: ignore[arg-type]  # one of the commands
    assert len(story.happened(AccessRestored)) == 1
    assert story.account.exhausted is False
    story.given(grant("more", 1))
    assert story.happened(AccessRestored) == []


def test_a_cycle_restores() -> None:
    story = out().after(days=31).given(opened())
    (event,) = story.happened(AccessRestored)
    assert (event.monthly_used, event.cycle_id) == (0, "2026-02-10")


def test_a_correction_restores() -> None:
    story = Story().given(reserve("r1", prompt=9_900, output_free=True)).after(hours=1).given(expire("r1"))
    assert len(story.happened(TokensExhausted)) == 1
    assert len(story.given(settle("r1", prompt=100)).happened(AccessRestored)) == 1


def test_too_small_a_grant_does_not_restore() -> None:
    story = out().given(grant("lot", 187))
    assert story.logged(AccessRestored) == []
    assert len(story.given(grant("more", 1)).happened(AccessRestored)) == 1


def test_a_grant_that_only_repays_debt_does_not_restore() -> None:
    story = Story().given(limit(1_000), settle("r1", prompt=2_000), grant("lot", 1_100))
    assert (story.logged(AccessRestored), story.balance.available) == ([], 100)


def test_exhausted_restored_exhausted_are_three_messages() -> None:
    story = out().given(grant("lot", 1_000), *used("r2", 1_000))
    assert len(story.logged(TokensExhausted)) == 2
    assert len(story.logged(AccessRestored)) == 1


def test_revocation_lowered_limit_smaller_plan_and_a_passing_date_exhaust() -> None:
    date = START + timedelta(days=1)
    assert Story().given(limit(0), grant("a", 500), revoke("a", 400)).happened(TokensExhausted)
    assert Story().given(opened(), *used("r1", 5_000), limit(5_100)).happened(TokensExhausted)
    assert Story().given(opened("premium"), *used("r1", 9_900), plan("basic")).happened(TokensExhausted)
    promoted = Story().given(limit(10), grant("a", 500, expires_at=date)).at(date).given(opened())
    assert promoted.happened(TokensExhausted)


def test_both_are_told_after_what_caused_them() -> None:
    story = Story().given(limit(1_000), *used("r1", 1_000))
    names = [type(event).__name__ for event in story.events]
    assert names == ["UsageSettled", *["ThresholdCrossed"] * 4, "AllowanceExhausted", "TokensExhausted"]
    names = [type(event).__name__ for event in story.given(grant("lot", 1_000)).events]
    assert names == ["CreditsGranted", "AccessRestored"]


def test_who_was_told_to_be_out_by_an_earlier_rule_hears_that_it_is_no_longer_so() -> None:
    """Once a prompt that was too large said so, though thousands of tokens were left."""
    story = Story().given(opened())
    story.account = replace(story.account, exhausted=True)
    story.given(reserve("r1", prompt=100, maximum=50))
    assert [type(event) for event in story.events] == [AccessRestored, TokensReserved]
    story.given(reserve("r2", prompt=100, maximum=50))
    assert [type(event) for event in story.events] == [TokensReserved]


@pytest.mark.parametrize(("observed", "without_hold"), [(True, False), (False, True), (True, True)])
def test_what_a_mode_let_through_tells_nobody_that_the_chat_is_paused(observed: bool, without_hold: bool) -> None:
    def through(reservation_id: str, tokens: int) -> SettleUsage:
        return settle(reservation_id, prompt=tokens, observed=observed, forwarded_without_hold=without_hold)

    story = Story().given(limit(1_000), through("r1", 6_000))
    refused(story.when(reserve("r2", prompt=500, output_free=True, observed=True)))
    story.given(through("r2", 500), grant("lot", 1_000), through("r3", 1_000))
    assert (story.logged(TokensExhausted), story.logged(AccessRestored)) == ([], [])
    assert story.balance.available == 0


def test_whose_tokens_went_while_a_mode_observed_is_told_at_the_first_refusal_that_stands() -> None:
    story = Story().given(limit(1_000), settle("r1", prompt=6_000, observed=True))
    figures = refused(story.when(reserve("r2", prompt=500, output_free=True))).figures
    assert figures is not None
    assert (figures.exhausted, len(story.happened(TokensExhausted))) == (True, 1)
    refused(story.when(reserve("r3", prompt=500, output_free=True)))
    assert story.happened(TokensExhausted) == []


def test_observed_use_beyond_its_own_hold_is_not_owed() -> None:
    """Nothing was written into the request, so the model wrote what it liked."""
    story = Story().given(limit(1_000), reserve("r1", prompt=700, output_free=True, observed=True))
    story.given(settle("r1", prompt=1_500, observed=True))
    assert (story.balance.monthly_used, story.balance.debt, story.balance.unowed) == (1_000, 0, 500)


def test_an_observed_hold_whose_usage_never_came_tells_nobody_to_be_out_and_leaves_no_debt() -> None:
    story = Story().given(limit(1_000), reserve("r1", prompt=950, output_free=True, observed=True))
    story.given(limit(500)).after(hours=1).given(expire("r1"))
    assert story.logged(TokensExhausted) == []
    assert (story.balance.monthly_used, story.balance.debt, story.balance.unowed) == (500, 0, 450)
