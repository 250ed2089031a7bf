"""Credits that were taken back and are given back: to their lot, debt first, never more than was taken."""

from datetime import timedelta
from itertools import permutations

import pytest
from contracts.errors import InvalidError, PrematureError
from contracts.events.credits import CreditsExpired, CreditsRestored
from contracts.events.notices import AccessRestored
from ledger.domain.commands import Command, Revision

from tests.unit.ledger.story import START, Story, grant, limit, opened, reserve, restore, revoke, settle, status, used


def record(story: Story, lot_id: str = "lot") -> tuple[int, int, int]:
    lot = story.lot_records[lot_id]
    return lot.granted, lot.revoked, lot.restored


def test_what_is_given_back_is_in_the_lot_again_and_the_record_says_so() -> None:
    story = Story().given(grant("lot", 1_000), revoke("lot", 600), restore("lot", 400))
    assert (story.lots, story.balance.debt) == ({"lot": 800}, 0)
    assert record(story) == (1_000, 600, 400)


def test_a_lot_that_was_taken_back_whole_comes_back() -> None:
    story = Story().given(grant("lot", 1_000), revoke("lot", 1_000), restore("lot", 1_000))
    assert story.lots == {"lot": 1_000}


def test_debt_is_repaid_first() -> None:
    story = Story().given(limit(0), grant("lot", 1_000), *used("r1", 700), revoke("lot", 1_000))
    assert (story.lots, story.balance.debt) == ({}, 700)
    story.given(restore("lot", 1_000))
    (restored,) = story.happened(CreditsRestored)
    assert (restored.tokens, restored.debt_repaid) == (1_000, 700)
    assert (story.lots, story.balance.debt) == ({"lot": 300}, 0)


def test_never_more_is_given_back_than_was_taken() -> None:
    story = Story().given(grant("lot", 1_000), revoke("lot", 600), restore("lot", 600))
    with pytest.raises(PrematureError, match="0 tokens are revoked"):
        story.when(restore("lot", 1))
    with pytest.raises(PrematureError, match="no lot"):
        story.when(restore("nowhere", 1))
    assert story.lots == {"lot": 1_000}


@pytest.mark.parametrize("tokens", [0, -1])
def test_it_is_given_back_in_positive_amounts(tokens: int) -> None:
    with pytest.raises(InvalidError):
        Story().given(grant("lot", 1_000), revoke("lot", 600)).when(restore("lot", tokens))


def test_what_was_given_back_can_be_taken_again() -> None:
    story = Story().given(grant("lot", 1_000), revoke("lot", 1_000), restore("lot", 1_000), revoke("lot", 1_000))
    assert (story.lots, story.balance.debt) == ({}, 0)
    assert record(story) == (1_000, 2_000, 1_000)
    with pytest.raises(PrematureError):
        story.when(revoke("lot", 1))


def test_what_comes_back_after_the_lot_s_date_repays_debt_and_lapses() -> None:
    story = Story().given(limit(0), grant("lot", 1_000, expires_at=START + timedelta(days=1)), *used("r1", 100))
    story.given(revoke("lot", 1_000)).after(days=2).given(restore("lot", 1_000))
    (expired,) = story.happened(CreditsExpired)
    assert expired.tokens == 900
    assert (story.lots, story.balance.debt) == ({}, 0)


def test_who_was_out_of_tokens_hears_that_they_work_again() -> None:
    story = Story().given(limit(0), grant("lot", 1_000), revoke("lot", 1_000), reserve("r1", prompt=100))
    assert story.account.exhausted
    story.given(restore("lot", 1_000))
    assert len(story.happened(AccessRestored)) == 1
    assert not story.account.exhausted


@pytest.mark.parametrize("name", ["blocked", "suspended"])
def test_neither_a_purchase_nor_a_restore_opens_what_an_admin_closed(name: str) -> None:
    story = Story().given(opened(), status(name), grant("lot", 1_000), revoke("lot", 500), restore("lot", 500))
    assert (story.balance.status, story.balance.credits) == (name, 1_000)


@pytest.mark.parametrize("spent", [0, 300, 1_000])
def test_whatever_order_they_come_in_the_end_is_the_same(spent: int) -> None:
    """What comes too early is refused, and comes again."""
    commands: list[Command] = [
        revoke("lot", 300, Revision(1)),
        restore("lot", 300, Revision(2)),
        revoke("lot", 1_000, Revision(3)),
        restore("lot", 250, Revision(4)),
    ]
    ends = set()
    for order in permutations(commands):
        story = Story().given(limit(0), grant("lot", 1_000))
        if spent:
            story.given(*used("r1", spent))
        waiting: list[Command] = list(order)
        for _ in commands:
            waiting = [command for command in waiting if is_premature(story, command)]
        assert waiting == []
        ends.add((story.balance.credits, story.balance.debt, *record(story)))
    left = 250 - spent
    assert ends == {(max(0, left), max(0, -left), 1_000, 1_300, 550)}


def test_where_what_is_missing_is_lost_the_rest_counts_and_so_does_the_lost_when_it_comes() -> None:
    story = Story().given(limit(0), grant("lot", 1_000))
    with pytest.raises(PrematureError, match="revision 3 of lot lot came before revision 1"):
        story.when(revoke("lot", 500, Revision(3)))
    story.given(revoke("lot", 500, Revision(3, gap_allowed=True)), revoke("lot", 200, Revision(1)))
    assert (story.lots, story.lot_records["lot"].revision) == ({"lot": 300}, 3)


def is_premature(story: Story, command: Command) -> bool:
    try:
        story.when(command)
    except PrematureError:
        return True
    return False


def test_a_correction_that_finds_the_lot_restored_adds_to_it() -> None:
    story = Story().given(limit(0), grant("lot", 1_000), reserve("r1", prompt=1_000, output_free=True))
    story.after(minutes=16)
    story.given(revoke("lot", 1_000), restore("lot", 400), settle("r1", prompt=100))
    assert story.balance.credits - story.balance.debt == 300
