"""Credits: granted once, revoked even if held, promotional lots until their date."""

from datetime import datetime, timedelta

import pytest
from contracts.errors import ConflictError, InvalidError
from contracts.events.credits import CreditsExpired, CreditsGranted, CreditsRevoked
from contracts.limits import MAX_INTEGER

from tests.unit.ledger.story import (
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
    revoke,
    settle,
    used,
)

DATE = START + timedelta(days=3)


def test_credits_accumulate_and_outlive_cycles_and_plans() -> None:
    story = Story().given(opened(), grant("a", 100), grant("b", 200)).after(days=400).given(plan("premium"))
    assert (story.balance.credits, story.lots) == (300, {"a": 100, "b": 200})


@pytest.mark.parametrize("tokens", [0, -5])
def test_a_grant_is_positive(tokens: int) -> None:
    with pytest.raises(InvalidError):
        Story().when(grant("a", tokens))


def test_a_lot_is_granted_once() -> None:
    story = Story().given(grant("a", 100))
    with pytest.raises(ConflictError):
        story.when(grant("a", 100))
    assert story.balance.credits == 100


def test_a_lot_that_went_to_debt_or_was_used_up_is_not_granted_again() -> None:
    story = Story().given(limit(0), settle("r1", prompt=100), grant("debt", 100), grant("spent", 50), *used("r2", 50))
    for lot_id in ("debt", "spent"):
        with pytest.raises(ConflictError):
            story.when(grant(lot_id, 100))
    assert (story.lots, story.balance.debt) == ({}, 0)


def test_a_lot_that_never_was_can_t_be_revoked() -> None:
    story = Story().given(opened())
    with pytest.raises(InvalidError, match="no lot"):
        story.when(revoke("nowhere", 100))
    assert story.balance.debt == 0


def test_no_more_is_revoked_than_was_granted() -> None:
    story = Story().given(opened(), grant("a", 100), *used("r1", 10_080), revoke("a", 60))
    assert story.balance.debt == 40
    with pytest.raises(InvalidError, match="100 revoked"):
        story.given(revoke("a", 40)).when(revoke("a", 1))
    assert story.balance.debt == 80


def test_a_date_without_an_offset_is_refused() -> None:
    with pytest.raises(InvalidError, match="offset"):
        Story().when(grant("a", 100, expires_at=datetime(2026, 3, 1)))  # noqa: DTZ001


def test_a_promotion_is_used_before_what_was_paid_and_comes_back_after_it() -> None:
    story = Story().given(
        limit(0),
        grant("paid", 100),
        grant("late", 100, expires_at=START + timedelta(days=9)),
        grant("soon", 100, expires_at=START + timedelta(days=2)),
        reserve("r1", prompt=250, output_free=True),
    )
    story.after(hours=1).given(expire("r1"))
    assert story.lots == {"paid": 50}
    story.given(settle("r1", prompt=120))
    assert story.lots == {"paid": 100, "late": 80}


def test_lots_come_back_in_the_order_of_their_grants_whatever_is_corrected_first() -> None:
    story = Story().given(limit(0), grant("a", 100), grant("b", 100), grant("c", 100))
    story.given(reserve("r1", prompt=100, output_free=True)).after(hours=1).given(expire("r1"))
    story.given(reserve("r2", prompt=100, output_free=True)).after(hours=1).given(expire("r2"))
    story.given(settle("r1", prompt=0), settle("r2", prompt=0))
    assert list(story.lots) == ["a", "b", "c"]


def test_a_sum_beyond_every_reader_s_integers_is_refused() -> None:
    story = Story().given(grant("a", MAX_INTEGER - 10_000))
    with pytest.raises(InvalidError):
        story.when(grant("b", MAX_INTEGER))
    assert story.lots == {"a": MAX_INTEGER - 10_000}


def test_a_grant_opens_an_unknown_account() -> None:
    story = Story().given(grant("a", 100))
    assert (story.balance.plan, story.balance.credits, story.balance.available) == ("basic", 100, 10_100)
    (event,) = story.happened(CreditsGranted)
    assert (event.source, event.reference, event.debt_repaid) == ("purchase", "order-a", 0)


def test_a_revocation_takes_the_lot() -> None:
    story = Story().given(grant("a", 100), grant("b", 50), revoke("a", 100))
    assert story.lots == {"b": 50}
    (event,) = story.happened(CreditsRevoked)
    assert (event.from_lot, event.to_debt) == (100, 0)


def test_a_partial_revocation_leaves_the_rest() -> None:
    assert Story().given(grant("a", 100), revoke("a", 30)).lots == {"a": 70}


def test_what_was_spent_of_a_revoked_lot_becomes_debt() -> None:
    story = Story().given(opened(), grant("a", 100), grant("b", 50), *used("r1", 10_080), revoke("a", 100))
    assert (story.lots, story.balance.debt, story.balance.available) == ({"b": 50}, 80, -30)


def test_a_revocation_takes_even_what_is_held() -> None:
    story = Story().given(limit(0), grant("a", 500), reserve("r1", prompt=500, output_free=True), revoke("a", 500))
    assert (story.balance.credits, story.balance.held, story.balance.available) == (0, 500, -500)
    story.given(settle("r1", prompt=400))
    assert (story.balance.debt, story.balance.available) == (400, -400)


def test_a_revoked_lot_whose_grant_repaid_debt_becomes_debt_again() -> None:
    story = Story().given(limit(0), settle("r1", prompt=100))
    story.given(grant("a", 100), revoke("a", 100))
    assert (story.balance.debt, story.balance.credits) == (100, 0)


@pytest.mark.parametrize("tokens", [0, -5])
def test_a_revocation_is_positive(tokens: int) -> None:
    with pytest.raises(InvalidError):
        Story().given(grant("a", 10)).when(revoke("a", tokens))


class TestPromotionalLots:
    """A lot may carry a date; what open holds may need of it stays until those end."""

    def test_a_dated_lot_goes_at_its_date(self) -> None:
        story = Story().given(grant("a", 100, expires_at=DATE), grant("b", 50)).at(DATE - timedelta(microseconds=1))
        assert story.balance.credits == 150
        story.at(DATE)
        assert story.balance.credits == 50
        story.given(opened())
        assert story.happened(CreditsExpired) == [CreditsExpired(lot_id="a", tokens=100)]
        assert story.lots == {"b": 50}
        story.given(opened())
        assert story.events == ()

    def test_what_an_open_hold_may_need_stays_until_it_ends(self) -> None:
        story = Story().given(limit(10), grant("a", 100, expires_at=DATE)).at(DATE - timedelta(minutes=1))
        story.given(reserve("r1", prompt=60, output_free=True)).at(DATE).given(opened())
        assert story.happened(CreditsExpired) == [CreditsExpired(lot_id="a", tokens=50)]
        assert (story.balance.credits, story.balance.available) == (50, 0)
        story.given(settle("r1", prompt=40), opened())
        assert story.happened(CreditsExpired) == [CreditsExpired(lot_id="a", tokens=20)]
        assert (story.balance.credits, story.balance.monthly_used, story.balance.debt) == (0, 10, 0)

    def test_a_hold_that_the_allowance_covers_keeps_nothing(self) -> None:
        story = Story().given(grant("a", 100, expires_at=DATE)).at(DATE - timedelta(minutes=1))
        story.given(reserve("r1", prompt=9_000, output_free=True)).at(DATE)
        assert story.balance.credits == 0

    def test_a_hold_of_an_ended_cycle_keeps_what_its_remainder_does_not_cover(self) -> None:
        story = Story().given(opened(), *used("r0", 9_900))
        date = story.balance.cycle.ends_at
        story.given(grant("a", 100, expires_at=date)).at(date - timedelta(minutes=1))
        story.given(reserve("r1", prompt=150, output_free=True)).at(date)
        assert (story.balance.credits, story.balance.available) == (50, 10_000)
        story.given(settle("r1", prompt=150))
        assert (story.balance.debt, story.balance.credits, story.balance.monthly_used) == (0, 0, 0)

    def test_debt_does_not_keep_a_dated_lot_alive(self) -> None:
        story = (
            Story().given(limit(0), grant("a", 100, expires_at=DATE), settle("r1", prompt=600)).at(DATE).given(opened())
        )
        assert (story.balance.credits, story.balance.debt) == (0, 500)
        story.given(opened())
        assert story.events == ()

    def test_a_used_up_lot_goes_without_a_word(self) -> None:
        story = Story().given(limit(0), grant("a", 100, expires_at=DATE), *used("r1", 100)).at(DATE).given(opened())
        assert (story.lots, story.logged(CreditsExpired)) == ({}, [])

    def test_calls_after_the_date_cannot_use_it(self) -> None:
        story = Story().given(limit(0), grant("a", 100, expires_at=DATE)).at(DATE)
        assert not hasattr(story.when(reserve("r1", prompt=1, output_free=True)), "held_tokens")

    def test_a_released_hold_lets_the_rest_go(self) -> None:
        story = Story().given(limit(0), grant("a", 100, expires_at=DATE)).at(DATE - timedelta(minutes=1))
        granted(story.when(reserve("r1", prompt=60, output_free=True)))
        story.at(DATE).given(not_forwarded("r1"))
        assert (story.balance.credits, story.balance.available) == (0, 0)


def test_nobody_grants_a_lot_that_a_correction_may_make() -> None:
    """Two lots of one id would be charged and given back as one."""
    story = Story().given(opened())
    with pytest.raises(InvalidError, match="own"):
        story.when(grant("correction:r1", 5))


def test_a_lot_kept_past_its_date_makes_nothing_due_before_its_hold_ends() -> None:
    """Else the account would be found due again and again, and the ones behind it never."""
    story = Story().given(limit(0), grant("lot", 300, expires_at=DATE)).at(DATE - timedelta(minutes=1))
    story.given(reserve("r1", prompt=300, output_free=True)).at(DATE)
    assert story.account.due_at == story.account.running_cycle.ends_at
    story.given(not_forwarded("r1"))
    assert story.account.due_at == DATE
