"""More than one subscription of an account: the latest paid one rules, few are remembered, none is paid out twice."""

from datetime import UTC, datetime, timedelta

import pytest
from contracts.errors import InvalidError
from ledger.domain.subscriptions import MAX_KNOWN, find_subscription

from tests.unit.ledger.paid_story import PAID, paying, standing
from tests.unit.ledger.story import ended, subscribed, used


def test_a_later_subscription_rules_and_the_end_of_the_one_before_it_changes_nothing() -> None:
    story = paying().given(subscribed("basic", period=PAID)).after(days=2)
    story.given(subscribed("premium", period=story.now, subscription_id="sub-2"), ended(2))
    assert standing(story) == ("premium", 20_000, 0)
    assert story.balance.cycle.ends_at == datetime(2026, 2, 22, tzinfo=UTC)


def test_an_older_one_that_is_heard_of_later_starts_nothing() -> None:
    story = paying().given(subscribed("premium", period=PAID), *used("r1", 5_000))
    story.given(subscribed("basic", period=PAID - timedelta(hours=1), subscription_id="sub-0"))
    assert standing(story) == ("premium", 20_000, 5_000)


def test_where_the_ruling_one_ends_the_other_that_is_still_paid_gives_its_plan() -> None:
    story = paying().given(subscribed("paced", period=PAID)).after(hours=1)
    story.given(subscribed("premium", period=story.now, subscription_id="sub-2"), *used("r1", 1_000))
    story.given(ended(2, subscription_id="sub-2"))
    assert standing(story) == ("paced", 1_000_000, 1_000)
    story.given(ended(2))
    assert standing(story) == ("basic", 10_000, 1_000)


def test_two_of_the_same_second_end_alike_in_every_order() -> None:
    """One replaced the other; as where a test's clock stands still."""
    first, replaced = subscribed("basic", period=PAID), ended(2)
    second = subscribed("premium", period=PAID, subscription_id="sub-2")
    for commands in ((first, replaced, second), (first, second, replaced), (second, first, replaced)):
        assert standing(paying().given(*commands)) == ("premium", 20_000, 0)


def test_of_two_of_the_same_second_the_one_that_is_heard_of_later_rules() -> None:
    first, second = subscribed("basic", period=PAID), subscribed("premium", period=PAID, subscription_id="sub-2")
    assert standing(paying().given(first, *used("r1", 9_000), second)) == ("premium", 20_000, 0)


def test_few_subscriptions_are_remembered_and_the_ruling_one_among_them() -> None:
    story = paying().given(subscribed("premium", period=PAID + timedelta(days=1)))
    for number in range(2, 3 * MAX_KNOWN):
        name, period = f"sub-{number}", PAID + timedelta(minutes=number)
        story.given(subscribed("basic", period=period, subscription_id=name), ended(2, subscription_id=name))
    assert len(story.account.subscriptions) == MAX_KNOWN
    assert standing(story) == ("premium", 20_000, 0)


def test_one_that_was_forgotten_has_no_second_allowance() -> None:
    """Its dispute is won, or a lost message comes after all, when eight others have come and gone."""
    story = paying().given(subscribed("premium", period=PAID), *used("r1", 20_000), ended(is_taken_back=True))
    older = subscribed("basic", period=PAID - timedelta(hours=1), subscription_id="older")
    story.given(older, ended(2, subscription_id="older"))  # heard of later, and forgotten later
    for number in range(2, 2 + MAX_KNOWN):
        name = f"sub-{number}"
        story.after(hours=1).given(subscribed("basic", period=story.now, subscription_id=name))
        story.given(ended(2, subscription_id=name))
    assert find_subscription(story.account.subscriptions, "sub-1") is None
    before = story.account
    for late in (subscribed("premium", 1, period=PAID), subscribed("premium", 3, period=PAID, gap_allowed=True)):
        with pytest.raises(InvalidError, match="known no more"):
            story.when(late)
        assert story.account == before
    story.given(subscribed("premium", period=story.now, subscription_id="another"))
    assert standing(story) == ("premium", 20_000, 0)
