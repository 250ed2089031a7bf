"""The statement as it is told from the log: its last line is the balance, and each line says why."""

from datetime import timedelta

import pytest
from contracts.events.reservations import UsageSettled
from hypothesis import given
from hypothesis import strategies as st
from ledger.projections.projection import BrokenLogError
from ledger.projections.statement import tell_movements
from ledger.store.projected.statement_rows import Kind
from msgspec import json

from tests.unit.ledger.histories import events_of, histories, pages
from tests.unit.ledger.story import (
    START,
    Story,
    expire,
    grant,
    limit,
    not_forwarded,
    opened,
    plan,
    reserve,
    restore,
    revoke,
    settle,
    status,
    thresholds,
    used,
)
from tests.unit.ledger.told_statement import ToldStatement, standing


def told(story: Story) -> ToldStatement:
    statement = ToldStatement()
    statement.take(events_of(story))
    return statement


def kinds(story: Story) -> list[str]:
    return [line.kind for line in told(story).movements]


@given(story=histories(), sizes=st.lists(st.integers(1, 6), max_size=12))
def test_the_last_line_is_the_balance_in_pages_of_any_size(story: Story, sizes: list[int]) -> None:
    whole, statement = told(story), ToldStatement()
    for page in pages(events_of(story), sizes):
        statement.take(page)
    assert (statement.movements, statement.stored) == (whole.movements, whole.stored)
    assert statement.account() == story.account
    balance = story.account.balance()
    assert standing(statement.movements[-1]) == (
        balance.monthly_used,
        balance.monthly_limit,
        balance.credits,
        balance.debt,
        balance.unowed,
    )
    calls = [line for line in statement.movements if line.kind in (Kind.CALL, Kind.CORRECTION)]
    assert sum(line.billable_tokens or 0 for line in calls) == sum(
        each.billable_tokens for each in story.logged(UsageSettled)
    )


def test_what_moves_tokens_or_the_limit_is_a_line_and_nothing_else_is() -> None:
    story = Story().given(opened(), reserve("r", prompt=10), thresholds(50), status("suspended"), status("active"))
    story.given(grant("lot", 500), revoke("lot", 200), restore("lot", 100), limit(4_000), plan("premium"))
    story.given(settle("r", prompt=9), reserve("free", prompt=5), not_forwarded("free"))
    story.given(grant("soon", 50, expires_at=START + timedelta(hours=1)))
    story.after(days=40).given(*used("later", 3))
    assert kinds(story) == [
        *("opened", "grant", "revocation", "restoration", "limit", "plan", "call", "grant"),
        *("cycle", "expiry", "call"),
    ]


def test_a_call_names_its_weights_its_hold_and_where_it_was_taken() -> None:
    story = Story().given(opened(), grant("lot", 5_000), limit(100))
    story.given(reserve("r", prompt=400, model="weighted"))
    story.given(settle("r", prompt=400, cached=100, cache_write=8, completion=50, model="weighted"))
    line = told(story).movements[-1]
    assert line.reserved_position == 4
    assert (line.prompt_weight_millionths, line.cached_prompt_weight_millionths) == (500_000, 50_000)
    assert (line.cache_write_weight_millionths, line.completion_weight_millionths) == (625_000, 2_000_000)
    assert line.billable_tokens == 292 * 0.5 + 100 * 0.05 + 8 * 0.625 + 50 * 2 == 256
    assert (line.tokens, line.from_allowance, line.from_credits, line.to_debt) == (-256, 100, 156, 0)
    assert json.decode(line.lots or "") == {"lot": -156}
    assert (line.credits, line.monthly_used, line.cycle_id) == (4_844, 100, "2026-01-10")


def test_a_correction_names_what_it_corrects_and_what_lapsed() -> None:
    story = Story().given(opened(), reserve("r", prompt=300, model="weighted", maximum=50)).after(minutes=16)
    story.given(expire("r")).after(days=31).given(settle("r", prompt=20, model="weighted"))
    unsettled, cycle, correction = told(story).movements[1:]
    assert [each.kind for each in (unsettled, cycle, correction)] == ["unsettled", "cycle", "correction"]
    assert correction.corrects_position == unsettled.position == 3
    assert correction.corrects_tokens == unsettled.billable_tokens
    assert (correction.billable_tokens, correction.tokens) == (10, 0)
    assert correction.lapsed == (unsettled.billable_tokens or 0) - 10
    assert (correction.reserved_position, correction.completion_weight_millionths) == (2, 2_000_000)


def test_a_call_without_a_hold_has_the_weights_that_it_was_charged_by() -> None:
    line = told(Story().given(opened(), settle("u", prompt=8, model="weighted"))).movements[-1]
    assert (line.reserved_position, line.prompt_weight_millionths, line.billable_tokens) == (None, 500_000, 4)


def test_a_debt_that_a_grant_or_a_cycle_repays_is_in_the_line() -> None:
    story = Story().given(opened(), limit(0), settle("u", prompt=700), grant("lot", 300))
    story.given(limit(50)).after(days=31).given(*used("r", 1))
    debt, granted, raised, cycle, call = told(story).movements[2:]
    assert (debt.tokens, debt.to_debt, debt.debt) == (-700, 700, 700)
    assert (granted.tokens, granted.to_debt, granted.from_credits, granted.lots) == (300, -300, 0, None)
    assert (raised.tokens, raised.from_allowance, raised.to_debt) == (0, 50, -50)
    assert (cycle.tokens, cycle.from_allowance, cycle.to_debt, cycle.debt) == (0, 50, -50, 300)
    assert call.monthly_used == 50


def test_an_event_that_is_missing_holds_the_statement_up() -> None:
    events = events_of(Story().given(opened(), limit(7), grant("lot", 1), limit(8)))
    with pytest.raises(BrokenLogError, match="event 2 is missing before 3"):
        tell_movements([events[0], *events[2:]], {}, {})


def test_usage_that_corrects_nothing_holds_it_up() -> None:
    story = Story().given(opened(), reserve("r", prompt=3)).after(minutes=16)
    story.given(expire("r"), settle("r", prompt=2))
    accounts = ToldStatement()
    accounts.take(events_of(story)[:3])
    known = {each: accounts.known(each) for each in accounts.stored}
    with pytest.raises(BrokenLogError, match="corrects a charge"):
        tell_movements(events_of(story)[3:], known, {})
