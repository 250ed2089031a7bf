"""Holds that await their usage are those that the ledger itself knows as open or as charged without any."""

from collections.abc import Sequence

from contracts.events.registry import LedgerEvent
from hypothesis import given
from hypothesis import strategies as st
from ledger.domain.holds import Hold, HoldState
from ledger.projections.outstanding import count_outstanding
from ledger.store.projected.outstanding_rows import OutstandingHold
from ledger.store.projected.tracks import PageEvent
from ledger.store.projected.usage_rows import ReservationKey

from tests.unit.ledger.histories import events_of, histories, pages
from tests.unit.ledger.story import ACCOUNT_ID, Story

type Rows = dict[ReservationKey, OutstandingHold]


def take(rows: Rows, page: Sequence[PageEvent[LedgerEvent]]) -> None:
    """As `write_outstanding` has it."""
    changes = count_outstanding(page)
    for reservation in changes.ended:
        rows.pop(reservation, None)
    rows |= changes.made
    for reservation in changes.charged:
        rows[reservation] = rows[reservation]._replace(state="unsettled")


def expected(story: Story) -> Rows:
    """By the ledger's own records of reservations."""
    states = {HoldState.OPEN: "open", HoldState.EXPIRED: "unsettled"}
    holds = {each.reservation_id: (states[each.state], each) for each in story.holds.values() if each.state in states}
    return {ReservationKey(ACCOUNT_ID, name): _row(state, hold) for name, (state, hold) in holds.items()}


def _row(state: str, hold: Hold) -> OutstandingHold:
    assert hold.expires_at is not None
    assert hold.tokens is not None
    charged_or_held = hold.billable_tokens if state == "unsettled" else hold.tokens
    return OutstandingHold(
        state, hold.reserved_at, hold.expires_at, hold.model, hold.endpoint, hold.cycle_id, charged_or_held
    )


@given(story=histories(), sizes=st.lists(st.integers(1, 6), max_size=12))
def test_what_awaits_its_usage_is_what_the_ledger_knows_in_pages_of_any_size(story: Story, sizes: list[int]) -> None:
    rows: Rows = {}
    for page in pages(events_of(story), sizes):
        take(rows, page)
    assert rows == expected(story)
