"""Expiry charges the whole hold; usage that comes late corrects it once, in reverse of how it was charged."""

from datetime import timedelta

import pytest
from contracts.errors import ConflictError
from contracts.events.charges import Charge, GiveBack, LotTokens
from contracts.events.reservations import ReservationExpired, UsageSettled
from contracts.usage import Outcome

from tests.unit.ledger.story import (
    START,
    Story,
    expire,
    grant,
    limit,
    not_forwarded,
    opened,
    reserve,
    revoke,
    settle,
    used,
)


def expired(story: Story, reservation_id: str = "r1", tokens: int = 1_000) -> Story:
    """A call of `tokens` whose usage never came."""
    story.given(reserve(reservation_id, prompt=tokens, output_free=True))
    return story.after(seconds=900).given(expire(reservation_id))


def test_an_expired_hold_is_charged_in_full() -> None:
    story = expired(Story())
    (event,) = story.happened(ReservationExpired)
    assert (event.tokens, event.billable_tokens, event.charge) == (1_000, 1_000, Charge(from_allowance=1_000))
    assert (story.balance.monthly_used, story.balance.held, story.balance.available) == (1_000, 0, 9_000)


def test_an_expired_hold_expires_once() -> None:
    story = expired(Story()).given(expire("r1"))
    assert story.events == ()


@pytest.mark.parametrize("end", [settle("r1", prompt=10), not_forwarded("r1")])
def test_an_ended_hold_does_not_expire(end: object) -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50), end)  # type: ignore[arg-type]  # either command
    story.after(seconds=1_000).given(expire("r1"))
    assert story.events == ()


def test_an_unknown_hold_does_not_expire() -> None:
    story = Story().given(opened(), expire("r1"))
    assert story.events == ()


def test_late_usage_below_the_hold_gives_the_difference_back() -> None:
    story = expired(Story()).given(settle("r1", prompt=300))
    (settled,) = story.happened(UsageSettled)
    assert (settled.billable_tokens, settled.from_allowance, settled.corrects_billable_tokens) == (300, 300, 1_000)
    assert settled.give_back == GiveBack(to_allowance=700)
    assert settled.charged is None
    assert (story.balance.monthly_used, story.balance.held) == (300, 0)


def test_late_usage_above_the_hold_charges_the_difference() -> None:
    story = expired(Story().given(opened(), *used("r0", 8_900), grant("lot", 50))).given(settle("r1", prompt=1_200))
    (settled,) = story.happened(UsageSettled)
    assert settled.charged == Charge(
        from_allowance=100, from_credits=(LotTokens(lot_id="lot", tokens=50, ordinal=5),), to_debt=50
    )
    assert (settled.billable_tokens, settled.from_allowance, settled.to_debt) == (1_200, 1_100, 50)
    assert (story.balance.monthly_used, story.balance.credits, story.balance.debt) == (10_000, 0, 50)


def test_late_usage_of_exactly_the_hold_moves_nothing() -> None:
    story = expired(Story())
    before = story.balance
    story.given(settle("r1", prompt=1_000))
    assert story.balance == before


@pytest.mark.parametrize("late", [settle("r1"), not_forwarded("r1"), settle("r1", outcome=Outcome.UPSTREAM_ERROR)])
def test_late_usage_of_nothing_gives_all_back(late: object) -> None:
    story = expired(Story()).given(late)  # type: ignore[arg-type]  # a settlement
    assert (story.balance.monthly_used, story.balance.available) == (0, 10_000)


def test_a_correction_happens_once() -> None:
    story = expired(Story()).given(settle("r1", prompt=300))
    before = story.account
    story.given(settle("r1", prompt=300))
    assert (story.events, story.account) == ((), before)
    with pytest.raises(ConflictError):
        story.when(settle("r1", prompt=301))


def test_lots_get_back_newest_first_then_the_allowance() -> None:
    story = Story().given(opened(), grant("a", 300), grant("b", 300), *used("r0", 9_700))
    expired(story, tokens=800)
    assert story.lots == {"b": 100}
    story.given(settle("r1", prompt=450))
    (settled,) = story.happened(UsageSettled)
    assert settled.give_back == GiveBack(
        to_credits=(LotTokens(lot_id="b", tokens=200, ordinal=3), LotTokens(lot_id="a", tokens=150, ordinal=2))
    )
    assert story.lots == {"a": 150, "b": 300}
    assert settled.from_credits == (LotTokens(lot_id="a", tokens=150, ordinal=2),)
    assert story.balance.monthly_used == 10_000


def test_lots_that_were_used_up_return_in_their_order() -> None:
    story = Story().given(opened(), grant("a", 100), grant("b", 100), grant("c", 100), *used("r0", 10_000))
    expired(story, tokens=250).given(settle("r1"))
    assert list(story.lots.items()) == [("a", 100), ("b", 100), ("c", 100)]


def test_the_allowance_gets_back_last() -> None:
    story = Story().given(opened(), grant("a", 300), *used("r0", 9_700))
    expired(story, tokens=500).given(settle("r1", prompt=100))
    assert story.lots == {"a": 300}
    assert story.balance.monthly_used == 9_800


def debtor(debt: int) -> Story:
    """An account whose expired hold `r1` of 1,000 left `debt` of it unpaid, by a limit lowered meanwhile."""
    story = Story().given(reserve("r1", prompt=1_000, output_free=True), limit(1_000 - debt))
    return story.after(seconds=900).given(expire("r1"))


def test_the_debt_share_is_cancelled_first() -> None:
    story = debtor(400).given(settle("r1", prompt=900))
    assert (story.balance.debt, story.balance.monthly_used) == (300, 600)
    (settled,) = story.happened(UsageSettled)
    assert settled.give_back == GiveBack(debt_cancelled=100)
    assert (settled.from_allowance, settled.to_debt) == (600, 300)


def test_a_debt_share_that_was_repaid_returns_as_a_lot() -> None:
    story = debtor(400).given(grant("lot", 500), settle("r1", prompt=700))
    (settled,) = story.happened(UsageSettled)
    assert settled.give_back == GiveBack(correction_lot=LotTokens(lot_id="correction:r1", tokens=300))
    assert story.lots == {"lot": 100, "correction:r1": 300}
    assert (settled.from_allowance, settled.to_debt) == (600, 100)


def test_a_debt_share_that_was_partly_repaid_returns_that_part() -> None:
    story = debtor(400).given(grant("lot", 150), settle("r1", prompt=500))
    (settled,) = story.happened(UsageSettled)
    assert settled.give_back == GiveBack(
        debt_cancelled=250, correction_lot=LotTokens(lot_id="correction:r1", tokens=150), to_allowance=100
    )
    assert (story.balance.debt, story.lots, story.balance.monthly_used) == (0, {"correction:r1": 150}, 500)


def test_what_comes_back_repays_other_debt_at_once() -> None:
    story = expired(Story().given(limit(1_000)))
    story.given(settle("r2", prompt=200))
    assert story.balance.debt == 200
    story.given(settle("r1", prompt=700))
    assert (story.balance.debt, story.balance.monthly_used, story.balance.available) == (0, 900, 100)


def test_what_comes_back_below_a_lowered_limit_repays_nothing() -> None:
    story = expired(Story().given(limit(1_000)))
    story.given(settle("r2", prompt=200), limit(500), settle("r1", prompt=700))
    assert (story.balance.debt, story.balance.monthly_used) == (200, 700)


def test_a_lot_that_was_refunded_meanwhile_pays_its_refund_with_what_comes_back() -> None:
    story = Story().given(opened(), grant("lot", 1_000), *used("r0", 10_000))
    expired(story, tokens=400).given(revoke("lot", 1_000))
    assert (story.balance.debt, story.balance.credits) == (400, 0)
    story.given(settle("r1"))
    assert (story.balance.debt, story.balance.credits, story.balance.available) == (0, 0, 0)


def test_across_a_cycle_s_end_the_allowance_share_lapses() -> None:
    story = Story().given(opened(), grant("lot", 300), *used("r0", 9_800))
    expired(story, tokens=400).after(days=31).given(settle("r1", prompt=50))
    (settled,) = story.happened(UsageSettled)
    assert settled.give_back == GiveBack(to_credits=(LotTokens(lot_id="lot", tokens=200, ordinal=2),), lapsed=150)
    assert (story.balance.monthly_used, story.balance.credits) == (0, 300)
    assert (settled.billable_tokens, settled.from_allowance) == (50, 50)


def test_across_a_cycle_s_end_more_usage_never_takes_the_new_allowance() -> None:
    story = Story().given(opened(), grant("lot", 100))
    expired(story, tokens=400).after(days=31).given(settle("r1", prompt=550))
    assert (story.balance.monthly_used, story.balance.credits, story.balance.debt) == (0, 0, 50)


def test_debt_repaid_by_a_cycle_returns_as_a_lot() -> None:
    story = debtor(400).after(days=31).given(settle("r1"))
    (settled,) = story.happened(UsageSettled)
    assert settled.give_back is not None
    assert settled.give_back.correction_lot == LotTokens(lot_id="correction:r1", tokens=400)
    assert settled.give_back.lapsed == 600
    assert (story.balance.monthly_used, story.balance.credits) == (400, 400)


def test_a_dated_lot_gets_back_with_its_date() -> None:
    expires_at = START + timedelta(days=5)
    story = Story().given(opened(), grant("promotion", 500, expires_at=expires_at), *used("r0", 10_000))
    expired(story, tokens=500).given(settle("r1", prompt=100))
    assert story.lots == {"promotion": 400}
    story.at(expires_at)
    assert story.balance.credits == 0


def test_a_dated_lot_past_its_date_gets_nothing_back() -> None:
    expires_at = START + timedelta(days=5)
    story = Story().given(opened(), grant("promotion", 500, expires_at=expires_at), *used("r0", 10_000))
    expired(story, tokens=500).at(expires_at).given(settle("r1", prompt=100))
    (settled,) = story.happened(UsageSettled)
    assert settled.give_back == GiveBack(lapsed=400)
    assert (story.balance.credits, story.balance.available) == (0, 0)
