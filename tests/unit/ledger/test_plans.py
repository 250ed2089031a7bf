"""Plans, limits, statuses: what an operator's command changes, and what a repetition does not."""

import pytest
from contracts.errors import InvalidError, RefusalCode
from contracts.events.accounts import LimitChanged, PlanChanged, RateLimits, StatusChanged
from contracts.events.actors import Actor
from contracts.limits import MAX_INTEGER
from ledger.domain.catalog import Catalog, Model, Plan
from ledger.domain.commands import (
    AdvanceAccount,
    ChangeLimit,
    ChangePlan,
    ChangeRateLimits,
    ChangeStatus,
    ChangeThresholds,
    Command,
)
from msgspec.structs import replace

from tests.unit.ledger.story import (
    ACCOUNT_ID,
    CATALOG,
    POLICY,
    Story,
    grant,
    granted,
    limit,
    opened,
    plan,
    rate_limits,
    refused,
    reserve,
    status,
    used,
)


def test_a_plan_brings_its_limit_within_the_running_cycle() -> None:
    story = Story().given(opened(), *used("r1", 4_000), plan("premium"))
    assert (story.balance.plan, story.balance.monthly_limit, story.balance.monthly_used) == ("premium", 20_000, 4_000)
    (changed,) = story.happened(PlanChanged)
    assert (changed.previous_plan, changed.catalog_version) == ("basic", "2026-01")


def test_a_plan_leaves_credits_alone() -> None:
    assert Story().given(grant("lot", 500), plan("trial")).balance.credits == 500


def test_the_same_plan_again_changes_nothing() -> None:
    story = Story().given(plan("premium"), plan("premium"))
    assert story.events == ()


def test_another_plan_ends_a_limit_of_one_s_own() -> None:
    assert Story().given(limit(123), plan("premium")).balance.monthly_limit == 20_000


def test_the_same_plan_again_keeps_a_limit_of_one_s_own_unless_asked() -> None:
    story = Story().given(limit(123), plan("basic"))
    assert (story.events, story.balance.monthly_limit) == ((), 123)
    story.given(ChangePlan(account_id=ACCOUNT_ID, plan="basic", reset_limit=True))
    assert story.balance.monthly_limit == 10_000


def test_a_plan_raised_in_the_catalog_reaches_whoever_it_is_given_again_once() -> None:
    raised = replace(CATALOG, version="2", plans={**CATALOG.plans, "basic": Plan(name="basic", monthly_tokens=15_000)})
    plain, own = Story().given(opened()), Story().given(limit(123))
    for story in (plain, own):
        story.policy = replace(POLICY, catalog=raised)
        story.given(plan("basic"))
        assert len(story.happened(PlanChanged)) == 1
        story.given(plan("basic"))
        assert story.events == ()
    assert (plain.balance.monthly_limit, own.balance.monthly_limit) == (15_000, 123)
    assert (plain.account.plan_tokens, own.account.plan_tokens) == (15_000, 15_000)


def test_a_plan_that_left_the_catalog_allows_what_the_default_plan_allows() -> None:
    story = Story().given(opened("premium"))
    small = {"basic": Plan(name="basic", monthly_tokens=10_000, models=("small-*",))}
    story.policy = replace(POLICY, catalog=replace(CATALOG, version="2", plans=small))
    assert refused(story.when(reserve("r1", prompt=1))).code is RefusalCode.MODEL_NOT_ALLOWED
    assert granted(story.when(reserve("r2", prompt=1, model="small-1")))


@pytest.mark.parametrize(
    "command",
    [
        ChangePlan(account_id=ACCOUNT_ID, plan="premium", reason_id="why", actor=Actor.OPERATOR),
        ChangeLimit(account_id=ACCOUNT_ID, monthly_limit=5, reason_id="why", actor=Actor.OPERATOR),
        ChangeStatus(account_id=ACCOUNT_ID, status="blocked", reason_id="why", actor=Actor.OPERATOR),
        ChangeThresholds(account_id=ACCOUNT_ID, thresholds=(50,), reason_id="why", actor=Actor.OPERATOR),
        ChangeRateLimits(
            account_id=ACCOUNT_ID,
            rate_limits=RateLimits(requests_per_minute=1),
            reason_id="why",
            actor=Actor.OPERATOR,
        ),
    ],
)
def test_who_made_a_change_and_why_stand_on_its_event(command: Command) -> None:
    story = Story().given(opened(), command)
    event = story.events[0]
    assert (getattr(event, "reason_id", None), getattr(event, "actor", None)) == ("why", Actor.OPERATOR)


def test_an_unknown_plan_is_refused_by_name() -> None:
    with pytest.raises(InvalidError, match=r"gold.*basic"):
        Story().when(plan("gold"))
    with pytest.raises(InvalidError):
        Story().when(opened("gold"))
    with pytest.raises(InvalidError):
        Story().when(opened(""))


def test_a_limit_may_be_any_amount_from_zero() -> None:
    story = Story().given(opened(), *used("r1", 4_000), limit(0))
    assert (story.balance.monthly_remaining, story.balance.available) == (0, 0)
    (changed,) = story.happened(LimitChanged)
    assert (changed.monthly_limit, changed.previous_limit, changed.debt_repaid) == (0, 10_000, 0)
    assert story.given(limit(10_000_000)).balance.monthly_remaining == 9_996_000


@pytest.mark.parametrize("tokens", [-1, MAX_INTEGER + 1, 10**30])
def test_an_absurd_limit_is_refused(tokens: int) -> None:
    with pytest.raises(InvalidError):
        Story().given(opened()).when(limit(tokens))


def test_a_limit_stays_over_cycles() -> None:
    assert Story().given(limit(500)).after(days=40).balance.monthly_limit == 500


def test_the_same_limit_and_status_again_change_nothing() -> None:
    story = Story().given(limit(500), limit(500))
    assert story.events == ()
    story.given(status("blocked"), status("blocked"))
    assert story.events == ()
    story.given(rate_limits(requests=5), rate_limits(requests=5))
    assert story.events == ()


def test_a_status_tells_what_it_was() -> None:
    (changed,) = Story().given(opened(), status("suspended")).happened(StatusChanged)
    assert (changed.status, changed.previous_status) == ("suspended", "active")


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(InvalidError):
        Story().when(status("gone"))


def test_administering_opens_an_unknown_account() -> None:
    for command in (plan("premium"), limit(5), status("blocked"), opened("premium", anchor_day=3)):
        assert Story().given(command).account.is_open


def test_advancing_an_account_that_is_up_to_date_does_nothing() -> None:
    story = Story().given(opened(), AdvanceAccount(account_id=ACCOUNT_ID))
    assert story.events == ()
    story.after(days=31).given(AdvanceAccount(account_id=ACCOUNT_ID))
    assert len(story.events) == 1


class TestCatalog:
    """A model's entry: its exact name, else the longest pattern, else weight one."""

    catalog = Catalog(
        version="1",
        plans={},
        models=(
            Model(pattern="gpt-*", max_output_tokens=1),
            Model(pattern="gpt-5*", max_output_tokens=2),
            Model(pattern="gpt-5", max_output_tokens=3),
            Model(pattern="*/gpt-5-mini", max_output_tokens=4),
        ),
    )

    @pytest.mark.parametrize(
        ("name", "maximum"),
        [("gpt-4", 1), ("gpt-5-mini", 2), ("gpt-5", 3), ("openai/gpt-5-mini", 4), ("GPT-5", None), ("claude", None)],
    )
    def test_the_nearest_entry_is_found(self, name: str, maximum: int | None) -> None:
        assert self.catalog.model(name).max_output_tokens == maximum
