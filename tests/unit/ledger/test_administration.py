"""Plans, limits, statuses: what an operator's command changes, and what a repetition does not."""

import pytest
from contracts.errors import InvalidError
from contracts.events import LimitChanged, PlanChanged, StatusChanged
from contracts.limits import MAX_INTEGER
from ledger.domain.catalog import Catalog, Model
from ledger.domain.commands import AdvanceAccount

from tests.unit.ledger.story import ACCOUNT_ID, Story, grant, limit, opened, plan, rate_limits, status, used


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


def test_a_plan_ends_a_limit_of_one_s_own() -> None:
    assert Story().given(limit(123), plan("basic")).balance.monthly_limit == 10_000


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
