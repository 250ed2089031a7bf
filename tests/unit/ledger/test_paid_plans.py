"""Subscriptions: one payment, one allowance; what is used stays used, whatever the order in which billing is heard."""

from datetime import UTC, datetime, timedelta

import pytest
from contracts.errors import InvalidError, PrematureError
from contracts.events.accounts import CycleStarted, PlanChanged, SubscriptionChanged
from contracts.events.notices import AccessRestored
from ledger.domain.commands import CorrectCycle
from msgspec.structs import replace

from tests.unit.ledger.paid_story import PAID, paying, standing
from tests.unit.ledger.story import (
    ACCOUNT_ID,
    CATALOG,
    POLICY,
    START,
    Story,
    ended,
    grant,
    limit,
    opened,
    plan,
    reserve,
    settle,
    status,
    subscribed,
    used,
)

# --- the first paid period ------------------------------------------------------------------------------------------


def test_a_first_payment_starts_a_cycle_with_the_whole_allowance_and_its_own_anchor() -> None:
    story = paying().given(subscribed("premium", period=PAID))
    cycle = story.balance.cycle
    assert standing(story) == ("premium", 20_000, 0)
    assert (cycle.id, cycle.starts_at, cycle.ends_at) == ("2026-01-20", PAID, datetime(2026, 2, 20, tzinfo=UTC))
    assert story.after(days=31).balance.cycle.starts_at == datetime(2026, 2, 20, tzinfo=UTC)


def test_the_same_plan_paid_for_is_a_whole_allowance_too() -> None:
    story = paying().given(subscribed("basic", period=PAID))
    assert standing(story) == ("basic", 10_000, 0)
    assert story.happened(PlanChanged) == []


def test_it_opens_an_account_that_nobody_used_yet() -> None:
    assert standing(Story().at(PAID).given(subscribed("premium", period=PAID))) == ("premium", 20_000, 0)


def test_debt_is_repaid_from_the_allowance_and_who_was_out_works_again() -> None:
    story = Story().given(limit(100), settle("r1", prompt=700)).at(PAID).given(subscribed("premium", period=PAID))
    assert (*standing(story), story.balance.debt) == ("premium", 20_000, 600, 0)
    assert len(story.happened(AccessRestored)) == 1


def test_a_limit_that_was_set_by_hand_ends_with_the_payment_and_one_set_later_stays() -> None:
    story = paying().given(limit(50), subscribed("premium", period=PAID))
    assert story.balance.monthly_limit == 20_000
    story.given(limit(70_000)).after(days=31)
    assert story.given(subscribed("premium", 2, period=PAID + timedelta(days=31))).balance.monthly_limit == 70_000


def test_credits_and_what_an_admin_closed_stay_as_they_are() -> None:
    story = paying().given(grant("lot", 500), status("blocked"), subscribed("premium", period=PAID), ended())
    assert (story.balance.credits, story.balance.status) == (500, "blocked")


def test_a_hold_of_the_cycle_before_keeps_that_cycle_s_remainder_and_no_more() -> None:
    story = paying(used_before=9_000).given(reserve("open", prompt=1_000, output_free=True))
    story.given(subscribed("premium", period=PAID), settle("open", prompt=1_500))
    assert (story.balance.monthly_used, story.balance.debt) == (0, 500)


def test_the_cycle_s_name_is_new_where_one_began_on_the_same_day() -> None:
    story = Story().given(reserve("open", prompt=500, output_free=True)).after(hours=1)
    story.given(subscribed("premium", period=story.now))
    assert (story.account.closed_cycles[0].id, story.balance.cycle.id) == ("2026-01-10", "2026-01-10.2")
    story.given(ended(), subscribed("premium", period=story.now, subscription_id="sub-2"))
    assert story.balance.cycle.id == "2026-01-10.3"
    story.given(settle("open", prompt=300))
    assert (story.balance.monthly_used, story.account.closed_cycles) == (0, ())
    assert story.after(days=31).balance.cycle.id == "2026-02-10"


@pytest.mark.parametrize("ahead", [timedelta(seconds=5), timedelta(hours=20)])
def test_a_period_that_starts_by_a_clock_ahead_of_ours_is_one_allowance(ahead: timedelta) -> None:
    """Else the cycle would end at the anchor that has just not come yet, and the allowance would come twice."""
    now = datetime(2026, 1, 20, 23, 59, 58, tzinfo=UTC)
    story = paying().at(now).given(subscribed("premium", period=now + ahead))
    assert story.balance.cycle.ends_at == datetime(2026, 2, 21, tzinfo=UTC)


def test_one_that_is_heard_of_late_runs_to_the_paid_period_s_anchor() -> None:
    story = paying().after(days=5).given(subscribed("premium", period=PAID))
    assert story.balance.cycle.ends_at == datetime(2026, 2, 20, tzinfo=UTC)


def test_an_anchor_on_the_31st_is_the_last_day_of_shorter_months() -> None:
    at = datetime(2026, 1, 31, 9, tzinfo=UTC)
    story = paying().at(at).given(subscribed("premium", period=at))
    assert story.balance.cycle.ends_at == datetime(2026, 2, 28, tzinfo=UTC)
    assert story.at(datetime(2026, 3, 1, tzinfo=UTC)).balance.cycle.ends_at == datetime(2026, 3, 31, tzinfo=UTC)


def test_the_anchor_is_a_day_of_the_account_s_time_zone() -> None:
    story = Story(replace(POLICY, time_zone="America/Sao_Paulo"))
    late = datetime(2026, 1, 21, 1, tzinfo=UTC)  # the 20th at 22:00 there
    story.given(opened()).at(late).given(subscribed("premium", period=late))
    assert story.balance.cycle.ends_at == datetime(2026, 2, 20, 3, tzinfo=UTC)
    assert story.balance.cycle.id == "2026-01-20"


@pytest.mark.parametrize(
    "command",
    [
        subscribed("gold"),
        subscribed("premium", period=START + timedelta(days=800)),
        subscribed("premium", period=START.replace(tzinfo=None)),
    ],
)
def test_what_can_t_be_is_refused_and_changes_nothing(command: object) -> None:
    story = paying()
    before = story.account
    with pytest.raises(InvalidError):
        story.when(command)  # type: ignore[arg-type]  # one of the commands above
    assert story.account == before


# --- later periods, changes, the end --------------------------------------------------------------------------------


def test_a_renewal_changes_nothing_for_the_cycle_has_turned_by_itself() -> None:
    story = paying().given(subscribed("premium", period=PAID)).at(PAID + timedelta(days=31)).given(*used("r1", 2_000))
    story.given(subscribed("premium", 2, period=PAID + timedelta(days=31)))
    assert [type(event) for event in story.events] == [SubscriptionChanged]
    assert standing(story) == ("premium", 20_000, 2_000)


def test_an_upgrade_raises_the_limit_at_once_and_keeps_what_was_used() -> None:
    story = paying().given(subscribed("basic", period=PAID), *used("r1", 9_999))
    cycle = story.balance.cycle
    story.given(subscribed("premium", 2, period=PAID))
    assert (*standing(story), story.balance.cycle) == ("premium", 20_000, 9_999, cycle)


def test_a_downgrade_takes_the_lower_limit_when_billing_says_so() -> None:
    story = paying().given(subscribed("premium", period=PAID), *used("r1", 12_000), subscribed("basic", 2, period=PAID))
    assert (*standing(story), story.balance.monthly_remaining) == ("basic", 10_000, 12_000, 0)


def test_the_end_is_the_default_plan_in_the_same_cycle_with_what_was_used() -> None:
    story = paying().given(subscribed("premium", period=PAID), *used("r1", 3_000))
    cycle = story.balance.cycle
    story.given(ended())
    assert (*standing(story), story.balance.cycle) == ("basic", 10_000, 3_000, cycle)
    assert story.after(days=31).balance.cycle.starts_at == datetime(2026, 2, 20, tzinfo=UTC)


TURNED = datetime(2026, 2, 20, 6, tzinfo=UTC)
"""On the period's last day, on which the cycle has turned at midnight: by itself, for a period that is not paid yet."""


@pytest.mark.parametrize("at", [TURNED, TURNED + timedelta(days=3)])
def test_of_a_cycle_that_nobody_paid_for_what_was_used_beyond_the_default_plan_is_owed(at: datetime) -> None:
    """Else who cancels at once, or pays no more, has two allowances for one payment."""
    story = paying().given(subscribed("premium", period=PAID), *used("r1", 20_000)).at(at).given(*used("r2", 18_000))
    story.given(ended())
    assert (*standing(story), story.balance.debt, story.balance.available) == ("basic", 10_000, 10_000, 8_000, -8_000)


def test_what_is_owed_of_an_unpaid_cycle_is_repaid_when_it_is_paid_after_all() -> None:
    story = paying().given(subscribed("premium", period=PAID)).at(TURNED).given(*used("r1", 18_000), ended())
    story.given(subscribed("premium", 3, period=PAID + timedelta(days=31)))
    assert (*standing(story), story.balance.debt) == ("premium", 20_000, 18_000, 0)


def test_one_that_replaces_an_unpaid_one_comes_to_the_same_before_and_after_its_end() -> None:
    """Two ledgers hear the two messages in either order; what was used of the unpaid allowance is not forgiven."""
    at = TURNED + timedelta(days=2)
    second, replaced = subscribed("premium", period=at, subscription_id="sub-2"), ended()
    for commands in ((replaced, second), (second, replaced)):
        story = paying().given(subscribed("premium", period=PAID)).at(at).given(*used("r1", 18_000), *commands)
        assert (*standing(story), story.balance.debt) == ("premium", 20_000, 8_000, 0)


def test_of_an_allowance_whose_payment_is_taken_back_what_was_used_beyond_the_default_plan_is_owed() -> None:
    """As with credits: else a dispute buys a month for nothing."""
    story = paying().given(subscribed("premium", period=PAID), *used("r1", 18_000), ended(is_taken_back=True))
    assert (*standing(story), story.balance.debt) == ("basic", 10_000, 10_000, 8_000)
    story.given(subscribed("premium", 3, period=PAID))  # the dispute is won
    assert (*standing(story), story.balance.debt) == ("premium", 20_000, 18_000, 0)


def test_a_downgrade_at_the_period_s_end_gives_no_more_than_the_plan_that_is_paid_from_then_on() -> None:
    story = paying().given(subscribed("premium", period=PAID)).at(TURNED).given(*used("r1", 18_000))
    story.given(subscribed("basic", 2, period=PAID + timedelta(days=31)))
    assert (*standing(story), story.balance.debt) == ("basic", 10_000, 10_000, 8_000)


def test_a_subscription_that_is_paid_after_its_end_gives_its_plan_and_no_second_allowance() -> None:
    story = paying().given(subscribed("premium", period=PAID), *used("r1", 3_000), ended())
    story.given(subscribed("premium", 3, period=PAID))
    assert standing(story) == ("premium", 20_000, 3_000)
    assert len(story.logged(CycleStarted)) == 1


def test_each_payment_of_a_new_subscription_is_an_allowance() -> None:
    story = paying().given(subscribed("premium", period=PAID), *used("r1", 20_000), ended()).after(days=1)
    story.given(subscribed("basic", period=story.now, subscription_id="sub-2"))
    assert standing(story) == ("basic", 10_000, 0)


def test_a_plan_that_is_sold_no_more_goes_on_for_who_has_it() -> None:
    story = paying().given(subscribed("premium", period=PAID))
    plans = {name: each for name, each in CATALOG.plans.items() if name != "premium"}
    story.policy = replace(POLICY, catalog=replace(CATALOG, plans=plans))
    story.given(subscribed("premium", 2, period=PAID + timedelta(days=31)))
    assert story.balance.plan == "premium"
    with pytest.raises(InvalidError, match="unknown plan"):
        story.when(subscribed("gone", 3, period=PAID))


# --- repetition and order -------------------------------------------------------------------------------------------


def test_what_is_older_than_what_was_heard_changes_nothing() -> None:
    story = paying().given(subscribed("premium", period=PAID), ended())
    story.given(subscribed("premium", period=PAID))
    assert story.events == ()
    assert story.balance.plan == "basic"


@pytest.mark.parametrize("command", [subscribed("premium", 2, period=PAID), ended(2), ended(7)])
def test_what_comes_before_its_turn_waits(command: object) -> None:
    story = paying()
    before = story.account
    with pytest.raises(PrematureError, match="came before revision 1"):
        story.when(command)  # type: ignore[arg-type]  # one of the commands above
    assert story.account == before


def test_where_what_is_missing_is_lost_the_latest_word_counts() -> None:
    story = paying().given(subscribed("premium", 3, period=PAID, gap_allowed=True))
    assert standing(story) == ("premium", 20_000, 0)
    story.given(*used("r1", 1_000), subscribed("basic", 1, period=PAID), subscribed("basic", 2, period=PAID))
    assert standing(story) == ("premium", 20_000, 1_000)


def test_an_end_of_which_nothing_was_known_takes_no_plan() -> None:
    story = paying().given(plan("premium"), ended(4, gap_allowed=True))
    assert standing(story) == ("premium", 20_000, 4_000)
    story.given(subscribed("trial", 3, period=PAID))
    assert standing(story) == ("premium", 20_000, 4_000)
    story.given(subscribed("basic", 5, period=PAID))
    assert standing(story) == ("basic", 10_000, 0)  # its first payment that is heard of


# --- a clock that was wrong -----------------------------------------------------------------------------------------


def test_a_wrong_cycle_s_correction_puts_back_the_paid_cycle() -> None:
    story = Story().given(subscribed("premium", period=START), *used("r1", 7_000))
    paid = story.balance.cycle
    assert paid.id == "2026-01-10.2"
    story.after(days=40).given(*used("r2", 100)).at(START + timedelta(days=1))
    story.given(CorrectCycle(account_id=ACCOUNT_ID, used_before=7_000, rightful=paid))
    assert (*standing(story), story.balance.cycle) == ("premium", 20_000, 7_100, paid)
