"""An estimate of ours gives way to the provider's figures once, in the account and in what is counted of it."""

import pytest
from contracts.errors import ConflictError, InvalidError
from contracts.events.charges import Charge, GiveBack
from contracts.events.reservations import CorrectedEstimate, UsageSettled
from contracts.usage import Outcome
from ledger.audit.folding import Folded
from ledger.domain.commands import SettleUsage
from ledger.domain.holds import Hold
from ledger.projections.usage import corrected_reservations, count_usage
from ledger.store.projected.usage_rows import Figures
from msgspec.structs import replace

from tests.unit.ledger.estimates import as_estimate, estimate_of
from tests.unit.ledger.histories import events_of
from tests.unit.ledger.story import ACCOUNT_ID, Story, opened, reserve, settle, used


def corrected(story: Story, command: SettleUsage) -> SettleUsage:
    """What the provider says of the reservation's last settlement, which was our own count."""
    settled = story.logged(UsageSettled)[-1]
    estimate = CorrectedEstimate(
        content_hash=settled.content_hash, usage=settled.usage, cost_usd_micros=settled.cost_usd_micros
    )
    return replace(command, corrects_estimate=estimate)


def test_an_estimate_gives_way_to_the_providers_figures_once() -> None:
    first = as_estimate(settle("r1", prompt=500))
    story = Story().given(reserve("r1", prompt=1_000), first)
    second = corrected(story, settle("r1", prompt=300))
    story.when(second)
    (settled,) = story.happened(UsageSettled)
    assert (settled.billable_tokens, settled.corrects_billable_tokens, settled.hold_tokens) == (300, 500, None)
    assert settled.give_back == GiveBack(to_allowance=200)
    assert settled.corrects_estimate is not None
    assert settled.corrects_estimate.usage.prompt_tokens == 500
    assert (story.balance.monthly_used, story.balance.held) == (300, 0)

    before = story.account
    for repeated in (second, first, settle("r1", prompt=300)):  # also the estimate, which comes out of a journal
        story.when(repeated)
        assert (story.events, story.account) == ((), before)
    for another in (
        settle("r1", prompt=301),
        replace(settle("r1", prompt=9), corrects_estimate=second.corrects_estimate),
    ):
        with pytest.raises(ConflictError):
            story.when(another)


def test_an_estimate_that_was_too_low_is_charged_the_rest_and_may_leave_debt() -> None:
    story = Story().given(opened(), *used("r0", 9_900), reserve("r1", prompt=50, maximum=50))
    story.given(as_estimate(settle("r1", prompt=50)))
    story.when(corrected(story, settle("r1", prompt=170)))
    (settled,) = story.happened(UsageSettled)
    assert settled.charged == Charge(from_allowance=50, to_debt=70)
    assert (story.balance.monthly_used, story.balance.debt) == (10_000, 70)


def test_what_the_provider_told_itself_gives_way_to_nothing() -> None:
    story = Story().given(reserve("r1", prompt=1_000), settle("r1", prompt=500))
    told = story.logged(UsageSettled)[-1]
    lie = CorrectedEstimate(content_hash="another", usage=told.usage, cost_usd_micros=0)
    with pytest.raises(ConflictError):
        story.when(replace(settle("r1", prompt=300), corrects_estimate=lie))


def test_an_estimate_that_is_not_known_any_more_is_charged_no_second_time() -> None:
    unknown = as_estimate(settle("r1", prompt=500))
    story = Story().given(opened())
    with pytest.raises(InvalidError):
        story.when(replace(settle("r1", prompt=300), corrects_estimate=estimate_of(unknown)))


def test_an_estimate_is_not_made_free() -> None:
    story = Story().given(reserve("r1", prompt=1_000), as_estimate(settle("r1", prompt=500)))
    with pytest.raises(ConflictError):
        story.when(corrected(story, settle("r1", outcome=Outcome.UPSTREAM_ERROR)))


@pytest.mark.parametrize("together", [True, False])
def test_what_was_counted_is_taken_out_where_it_stood(together: bool) -> None:
    story = Story().given(reserve("r1", prompt=1_000, model="weighted"))
    story.when(as_estimate(settle("r1", prompt=500, completion=70, model="weighted")))
    story.after(days=3).when(corrected(story, settle("r1", prompt=300, cached=9, completion=50, model="weighted")))
    (settled,) = story.happened(UsageSettled)
    events = events_of(story)
    assert corrected_reservations(events) == []
    total = Figures()
    for page in [events] if together else [[event] for event in events]:
        changes = count_usage(page, {})
        assert (changes.begun, changes.ended) == ({}, set())
        total = Figures(*map(sum, zip(total, *changes.added.values(), strict=True)))
    assert total == Figures(1, 300, 9, 0, 50, 0, settled.billable_tokens, settled.cost_usd_micros)


def test_a_walk_of_the_log_counts_a_corrected_hold_once() -> None:
    story = Story().given(reserve("r1", prompt=1_000), as_estimate(settle("r1", prompt=500)))
    story.after(days=3).when(corrected(story, settle("r1", prompt=300)))
    told: list[Hold] = []
    folded = Folded(ACCOUNT_ID, told.append)
    for at, event in story.log:
        folded.fold(event, at)
    assert folded.hold_sums().holds == 1
    assert told == [story.holds["r1"]]
    assert folded.account == story.account


def test_a_call_of_an_ended_cycle_is_corrected_within_it() -> None:
    story = Story().given(reserve("r1", prompt=1_000), as_estimate(settle("r1", prompt=500)))
    story.after(days=40).when(corrected(story, settle("r1", prompt=300)))
    (settled,) = story.happened(UsageSettled)
    assert settled.give_back == GiveBack(lapsed=200)
    assert story.balance.monthly_used == 0
