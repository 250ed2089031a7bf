"""Settlement: the real figure at the hold's rates, taken from allowance, then credits, then debt."""

import pytest
from contracts.errors import ConflictError, InvalidError
from contracts.events.charges import LotTokens
from contracts.events.reservations import ReservationReleased, UsageSettled
from contracts.limits import MAX_INTEGER
from contracts.usage import Outcome
from ledger.domain.holds import USAGE_TAKEN
from msgspec.structs import replace

from tests.unit.ledger.story import (
    CATALOG,
    POLICY,
    START,
    Story,
    expire,
    grant,
    granted,
    limit,
    not_forwarded,
    opened,
    plan,
    reserve,
    settle,
    used,
)


def test_real_usage_is_charged_and_the_rest_freed() -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=1_000), settle("r1", prompt=90, completion=10))
    assert story.balance.monthly_used == 100
    assert (story.balance.held, story.balance.available) == (0, 9_900)
    (settled,) = story.happened(UsageSettled)
    assert (settled.billable_tokens, settled.from_allowance, settled.from_credits, settled.to_debt) == (100, 100, (), 0)
    assert (settled.hold_tokens, settled.unreserved) == (1_100, False)


def test_monthly_tokens_go_before_credits() -> None:
    story = Story().given(opened(), grant("lot", 500), *used("r1", 9_999))
    assert (story.balance.monthly_remaining, story.balance.credits) == (1, 500)


def test_one_call_is_split_over_allowance_and_several_lots_oldest_first() -> None:
    story = Story().given(opened(), grant("a", 100), grant("b", 100), grant("c", 100), *used("r1", 9_900))
    story.given(reserve("r2", prompt=350, output_free=True), settle("r2", prompt=350))
    (settled,) = story.happened(UsageSettled)
    assert settled.from_allowance == 100
    assert settled.from_credits == (
        LotTokens(lot_id="a", tokens=100, ordinal=2),
        LotTokens(lot_id="b", tokens=100, ordinal=3),
        LotTokens(lot_id="c", tokens=50, ordinal=4),
    )
    assert settled.to_debt == 0
    assert story.lots == {"c": 50}


def test_usage_beyond_hold_and_balance_is_charged_in_full_down_to_debt() -> None:
    story = Story().given(opened(), grant("lot", 100), *used("r1", 9_900), reserve("r2", prompt=150, output_free=True))
    story.given(settle("r2", prompt=150, completion=200))
    (settled,) = story.happened(UsageSettled)
    assert (settled.from_allowance, settled.to_debt) == (100, 150)
    assert settled.from_credits == (LotTokens(lot_id="lot", tokens=100, ordinal=2),)
    balance = story.balance
    assert (balance.monthly_used, balance.credits, balance.debt, balance.available) == (10_000, 0, 150, -150)


def test_usage_beyond_the_hold_takes_what_other_holds_had_reserved() -> None:
    story = Story().given(limit(1_000), reserve("a", prompt=400, output_free=True))
    story.given(reserve("b", prompt=600, output_free=True), settle("a", prompt=700))
    assert (story.balance.available, story.balance.debt) == (-300, 0)
    story.given(settle("b", prompt=600))
    assert (story.balance.available, story.balance.debt) == (-300, 300)


@pytest.mark.parametrize("outcome", [Outcome.NOT_FORWARDED, Outcome.UPSTREAM_ERROR])
def test_what_never_answered_costs_nothing(outcome: Outcome) -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50), settle("r1", prompt=100, outcome=outcome))
    assert (story.balance.monthly_used, story.balance.held, story.balance.available) == (0, 0, 10_000)
    (released,) = story.happened(ReservationReleased)
    assert (released.tokens, released.outcome) == (150, outcome)


@pytest.mark.parametrize("outcome", [Outcome.CLIENT_DISCONNECTED, Outcome.INTERRUPTED])
def test_what_was_produced_before_an_early_end_is_charged(outcome: Outcome) -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50))
    story.given(settle("r1", prompt=100, completion=7, outcome=outcome))
    assert (story.balance.monthly_used, story.balance.held) == (107, 0)


def test_an_explicit_zero_is_charged_as_zero() -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50), settle("r1"))
    assert (story.balance.monthly_used, story.balance.held) == (0, 0)
    (settled,) = story.happened(UsageSettled)
    assert settled.billable_tokens == 0


@pytest.mark.parametrize("repetition", range(1, 4))
def test_the_same_usage_again_changes_nothing(repetition: int) -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50), settle("r1", prompt=100, completion=7))
    before = story.account
    for _ in range(repetition):
        story.after(minutes=1).given(settle("r1", prompt=100, completion=7))
        assert story.events == ()
    assert story.account == before


def test_a_second_different_figure_is_a_conflict() -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50), settle("r1", prompt=100, completion=7))
    before = story.account
    for other in (settle("r1", prompt=100, completion=8), not_forwarded("r1")):
        with pytest.raises(ConflictError, match="r1"):
            story.when(other)
    assert story.account == before


def test_usage_after_a_release_is_a_conflict() -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50), not_forwarded("r1"), not_forwarded("r1"))
    assert story.events == ()
    with pytest.raises(ConflictError):
        story.when(settle("r1", prompt=100))


def test_usage_without_a_hold_is_charged_and_flagged() -> None:
    story = Story().given(settle("r1", prompt=100, completion=5, model="weighted"))
    (settled,) = story.happened(UsageSettled)
    assert (settled.unreserved, settled.hold_tokens, settled.billable_tokens) == (True, None, 60)
    assert settled.unreserved_rates == CATALOG.model("weighted").rates
    assert (story.balance.monthly_used, story.balance.held) == (60, 0)
    story.given(settle("r1", prompt=100, completion=5, model="weighted"))
    assert story.events == ()


def test_release_of_an_unknown_reservation_costs_nothing_and_closes_its_id() -> None:
    story = Story().given(opened(), not_forwarded("r1"))
    (released,) = story.happened(ReservationReleased)
    assert released.tokens is None
    assert (story.balance.available, story.account.open_holds) == (10_000, 0)
    story.given(not_forwarded("r1"))
    assert story.events == ()


def test_usage_without_a_hold_may_make_debt() -> None:
    story = Story().given(limit(100), settle("r1", prompt=150))
    assert (story.balance.monthly_used, story.balance.debt, story.balance.available) == (100, 50, -50)


def test_the_hold_s_rates_are_charged_though_the_catalog_changed() -> None:
    story = Story().given(reserve("r1", prompt=1_000, maximum=100, model="weighted"))
    story.policy = replace(POLICY, catalog=replace(CATALOG, version="2026-02", models=()))
    story.given(settle("r1", prompt=1_000, completion=100, model="weighted"))
    (settled,) = story.happened(UsageSettled)
    assert (settled.billable_tokens, settled.catalog_version) == (700, "2026-01")
    assert settled.cost_usd_micros == 1_000 + 400


def test_token_classes_are_charged_by_their_own_weights() -> None:
    story = Story().given(reserve("r1", prompt=1_000, maximum=100, model="weighted"))
    story.given(settle("r1", prompt=1_000, cached=600, cache_write=200, completion=100, model="weighted"))
    (settled,) = story.happened(UsageSettled)
    assert settled.billable_tokens == 455  # 200 x 0.5 + 600 x 0.05 + 200 x 0.625 + 100 x 2
    assert settled.cost_usd_micros == 200 + 60 + 250 + 400
    assert story.balance.held == 0


def test_absurd_figures_are_refused_and_leave_the_hold_to_expire() -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50))
    for absurd in (settle("r1", prompt=MAX_INTEGER, completion=MAX_INTEGER), settle("r2", prompt=MAX_INTEGER + 1)):
        with pytest.raises(InvalidError):
            story.when(absurd)
    assert (story.balance.held, story.balance.monthly_used) == (150, 0)
    story.after(hours=1).given(expire("r1"))
    assert story.balance.monthly_used == 150


def test_settling_repeats_what_was_recorded() -> None:
    command = settle("r1", prompt=90, completion=10)
    story = Story().given(reserve("r1", prompt=100, maximum=1_000), command)
    (settled,) = story.happened(UsageSettled)
    usage = command.usage
    for name in ("model", "endpoint", "usage", "usage_source", "outcome", "status", "started_at", "duration_ms"):
        assert getattr(settled, name) == getattr(usage, name)
    for name in ("first_token_ms", "estimated_prompt_tokens"):
        assert getattr(settled, name) == getattr(usage, name)
    assert settled.content_hash == command.content_hash


def test_what_stays_for_ever_names_no_conversation() -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=10), settle("r1", prompt=90))
    assert story.happened(UsageSettled)[0].conversation_id is None
    story.given(not_forwarded("r2"))
    assert story.happened(ReservationReleased)[0].conversation_id is None


def test_use_that_a_mode_let_through_beyond_the_balance_is_not_owed() -> None:
    story = Story().given(limit(1_000), grant("lot", 200), settle("r1", prompt=6_000, forwarded_without_hold=True))
    (settled,) = story.happened(UsageSettled)
    assert (settled.from_allowance, settled.to_debt, settled.to_unowed) == (1_000, 0, 4_800)
    assert (story.balance.debt, story.balance.unowed, story.balance.available) == (0, 4_800, 0)
    story.after(days=31)
    assert (story.balance.available, story.balance.debt, story.balance.unowed) == (1_000, 0, 4_800)


def test_use_that_a_mode_let_through_leaves_others_what_they_hold() -> None:
    """Else a call that was granted would end in debt for one that was not."""
    story = Story().given(limit(1_000), reserve("granted", prompt=700, output_free=True))
    story.given(settle("through", prompt=900, forwarded_without_hold=True), settle("granted", prompt=700))
    assert (story.balance.monthly_used, story.balance.debt, story.balance.unowed) == (1_000, 0, 600)


def test_use_that_a_mode_let_through_is_not_owed_where_a_hold_was_made_after_all() -> None:
    story = Story().given(limit(1_000), reserve("r1", prompt=700, output_free=True))
    story.given(settle("r1", prompt=1_500, forwarded_without_hold=True))
    assert (story.balance.monthly_used, story.balance.debt, story.balance.unowed) == (1_000, 0, 500)


def test_use_that_a_mode_let_through_is_not_owed_where_a_hold_had_expired() -> None:
    story = Story().given(limit(1_000), reserve("r1", prompt=700, output_free=True)).after(minutes=16)
    story.given(expire("r1"), settle("r1", prompt=1_500, forwarded_without_hold=True))
    assert (story.balance.monthly_used, story.balance.debt, story.balance.unowed) == (1_000, 0, 500)


def test_what_was_used_without_a_mode_is_owed() -> None:
    story = Story().given(limit(1_000), settle("r1", prompt=6_000))
    assert (story.balance.debt, story.balance.unowed) == (5_000, 0)


@pytest.mark.parametrize(("model", "known"), [("weighted", True), ("known", False)])
def test_it_is_told_whether_anybody_named_a_price(model: str, known: bool) -> None:
    story = Story().given(reserve("r1", prompt=10, maximum=1, model=model), settle("r1", prompt=10, model=model))
    assert story.happened(UsageSettled)[0].price_known is known


class TestDebt:
    """Debt is repaid in the decision that raises allowance or credits."""

    def in_debt(self, tokens: int) -> Story:
        return Story().given(limit(1_000), settle("r0", prompt=1_000 + tokens))

    def test_a_grant_repays_it_first(self) -> None:
        story = self.in_debt(300).given(grant("lot", 500))
        assert (story.balance.debt, story.balance.credits, story.balance.available) == (0, 200, 200)

    def test_a_smaller_grant_repays_a_part(self) -> None:
        story = self.in_debt(300).given(grant("lot", 100))
        assert (story.balance.debt, story.balance.credits, story.lots) == (200, 0, {})

    def test_a_cycle_repays_it_from_the_new_allowance(self) -> None:
        story = self.in_debt(300).after(days=31)
        assert (story.balance.debt, story.balance.monthly_used, story.balance.available) == (0, 300, 700)

    def test_a_debt_above_the_allowance_takes_several_cycles(self) -> None:
        story = self.in_debt(2_500).after(days=31)
        assert (story.balance.debt, story.balance.monthly_remaining) == (1_500, 0)
        story.after(days=61)
        assert (story.balance.debt, story.balance.monthly_used) == (0, 500)

    def test_a_raised_limit_repays_it(self) -> None:
        story = self.in_debt(300).given(limit(2_000))
        assert (story.balance.debt, story.balance.monthly_used, story.balance.available) == (0, 1_300, 700)

    def test_a_raised_limit_below_what_was_used_repays_nothing(self) -> None:
        story = self.in_debt(300).given(limit(500), limit(900))
        assert (story.balance.debt, story.balance.monthly_used, story.balance.available) == (300, 1_000, -300)
        story.given(limit(1_100))
        assert (story.balance.debt, story.balance.monthly_used) == (200, 1_100)

    def test_a_bigger_plan_repays_it(self) -> None:
        story = self.in_debt(300).given(plan("premium"))
        assert (story.balance.debt, story.balance.monthly_used, story.balance.available) == (0, 1_300, 18_700)

    def test_it_bars_calls_until_repaid(self) -> None:
        story = self.in_debt(300)
        assert not hasattr(story.when(reserve("r1", prompt=1, maximum=1)), "held_tokens")
        story.given(grant("lot", 302))
        assert granted(story.when(reserve("r1", prompt=1, maximum=1)))


def test_usage_past_the_deadline_settles_as_usual_where_nothing_has_expired_yet() -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50)).after(hours=2).given(settle("r1", prompt=70))
    (settled,) = story.happened(UsageSettled)
    assert (settled.hold_tokens, settled.corrects_billable_tokens, story.balance.monthly_used) == (150, None, 70)


def test_a_hold_does_not_expire_before_its_time() -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50)).after(seconds=899, milliseconds=999)
    story.given(expire("r1"))
    assert (story.events, story.balance.held) == ((), 150)


def test_usage_of_a_hold_that_may_have_left_is_refused_and_of_one_that_is_kept_taken_however_old() -> None:
    story = Story().given(opened(), reserve("kept", prompt=100, output_free=True)).after(days=1)
    story.given(expire("kept")).at(START + USAGE_TAKEN)
    story.given(settle("unknown", prompt=10)).after(microseconds=1)
    for late in (settle("gone", prompt=10), not_forwarded("gone")):
        with pytest.raises(InvalidError, match="no hold of then is kept"):
            story.when(late)
    story.given(settle("kept", prompt=60), settle("kept", prompt=60))
    assert [event.billable_tokens for event in story.logged(UsageSettled)] == [10, 60]
