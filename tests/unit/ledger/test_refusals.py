"""Refusals: which, in what order, with which figures, and that none leaves a hold."""

from datetime import UTC, datetime, timedelta

import pytest
from contracts.errors import RefusalCode
from contracts.events.accounts import AccountOpened
from contracts.limits import MAX_INTEGER
from contracts.reservations import RefusalFigures
from msgspec.structs import replace

from tests.unit.ledger.story import (
    CATALOG,
    POLICY,
    Story,
    expire,
    grant,
    granted,
    limit,
    not_forwarded,
    opened,
    refused,
    reserve,
    revoke,
    settle,
    status,
    used,
)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("suspended", RefusalCode.ACCOUNT_SUSPENDED),
        ("blocked", RefusalCode.ACCOUNT_BLOCKED),
        ("pending", RefusalCode.ACCOUNT_PENDING),
    ],
)
def test_status_refuses_new_calls_until_active_again(name: str, code: RefusalCode) -> None:
    story = Story().given(opened(), status(name))
    assert refused(story.when(reserve("r1", prompt=1))).code is code
    assert story.events == ()
    story.given(status("active"))
    assert granted(story.when(reserve("r1", prompt=1)))


def test_calls_in_flight_settle_while_the_account_is_blocked() -> None:
    story = Story().given(
        reserve("r1", prompt=10, maximum=10), status("blocked"), settle("r1", prompt=10, completion=5)
    )
    assert (story.balance.monthly_used, story.balance.held, story.balance.status) == (15, 0, "blocked")


def test_model_outside_the_plan_is_refused() -> None:
    story = Story().given(opened("trial"))
    assert refused(story.when(reserve("r1", prompt=1, model="large-1"))).code is RefusalCode.MODEL_NOT_ALLOWED
    assert granted(story.when(reserve("r2", prompt=1, maximum=1, model="small-1")))


def test_status_is_told_before_the_model() -> None:
    story = Story().given(opened("trial"), status("blocked"))
    assert refused(story.when(reserve("r1", prompt=1, model="large-1"))).code is RefusalCode.ACCOUNT_BLOCKED


def test_insufficient_tells_every_figure() -> None:
    story = Story().given(opened(), *used("r0", 9_500), grant("lot", 40), reserve("held", prompt=100, output_free=True))
    answer = refused(story.when(reserve("r1", prompt=1_000)))
    assert answer.code is RefusalCode.INSUFFICIENT_TOKENS
    assert answer.figures == RefusalFigures(
        available=440,
        needed=1_256,
        held=100,
        monthly_limit=10_000,
        monthly_used=9_500,
        credits=40,
        resets_at=datetime(2026, 2, 10, tzinfo=UTC),
        exhausted=False,
    )


def test_debt_of_a_revoked_grant_is_not_told_as_held() -> None:
    story = Story().given(grant("lot", 500), *used("r0", 10_000), *used("r1", 500)).after(days=31)
    story.given(revoke("lot", 500))
    figures = refused(story.when(reserve("r2", prompt=9_900, output_free=True))).figures
    assert figures is not None
    assert (story.balance.debt, figures.available, figures.held, figures.exhausted) == (500, 9_500, 0, False)


def test_only_what_an_ended_cycle_left_uncovered_is_told_as_held() -> None:
    story = Story().given(grant("lot", 1_000), reserve("r1", prompt=10_400, output_free=True)).after(days=31)
    figures = refused(story.when(reserve("r2", prompt=11_000, output_free=True))).figures
    assert figures is not None
    assert (figures.available, figures.held) == (10_600, 400)


def test_needed_stays_an_integer_that_every_reader_takes() -> None:
    answer = refused(Story().when(reserve("r1", prompt=MAX_INTEGER, maximum=100, model="weighted", choices=16)))
    assert answer.figures is not None
    assert answer.figures.needed <= MAX_INTEGER
    huge = refused(Story().when(reserve("r1", prompt=MAX_INTEGER, maximum=MAX_INTEGER, choices=16)))
    assert huge.figures is not None
    assert huge.figures.needed <= MAX_INTEGER


def test_a_refusal_leaves_no_hold() -> None:
    story = Story().given(limit(10))
    assert refused(story.when(reserve("r1", prompt=100))).code is RefusalCode.INSUFFICIENT_TOKENS
    assert (story.balance.held, story.holds) == (0, {})


def test_a_refused_call_may_ask_again_with_the_same_id() -> None:
    story = Story().given(limit(10))
    refused(story.when(reserve("r1", prompt=100, maximum=1)))
    story.given(grant("lot", 1_000))
    assert granted(story.when(reserve("r1", prompt=100, maximum=1))).held_tokens == 101


def test_first_use_opens_the_account_with_the_default_plan() -> None:
    story = Story()
    granted(story.when(reserve("r1", prompt=1)))
    (first,) = story.happened(AccountOpened)
    assert (first.plan, first.status, first.monthly_limit, first.anchor_day) == ("basic", "active", 10_000, 10)
    assert story.when(opened("premium")) == story.balance
    assert story.balance.plan == "basic"
    assert len(story.logged(AccountOpened)) == 1


def test_a_refused_first_call_opens_the_account_too() -> None:
    story = Story()
    assert refused(story.when(reserve("r1", prompt=20_000, output_free=True))).code is RefusalCode.INSUFFICIENT_TOKENS
    assert story.account.is_open


def test_too_many_open_holds_are_rate_limited_over_all_cycles() -> None:
    story = Story(replace(POLICY, max_open_holds=3)).given(reserve("r1", prompt=1, maximum=1))
    story.after(days=31).given(reserve("r2", prompt=1, maximum=1), reserve("r3", prompt=1, maximum=1))
    answer = refused(story.when(reserve("r4", prompt=1, maximum=1)))
    assert (answer.code, answer.retry_after_seconds) == (RefusalCode.RATE_LIMITED, 1)
    story.given(not_forwarded("r1"))
    assert granted(story.when(reserve("r4", prompt=1, maximum=1)))


def test_same_id_and_content_gets_the_same_answer() -> None:
    story = Story()
    first = story.when(reserve("r1", prompt=100, maximum=50))
    story.given(reserve("other", prompt=1, maximum=1), grant("lot", 5)).after(seconds=2)
    again = story.when(reserve("r1", prompt=100, maximum=50))
    assert again == replace(granted(first), expires_in_seconds=898)  # by now
    assert story.events == ()


def test_same_id_with_other_content_is_a_conflict() -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50))
    answer = refused(story.when(reserve("r1", prompt=100, maximum=51, content_hash="other")))
    assert answer.code is RefusalCode.CONFLICT
    assert (story.events, story.balance.held) == ((), 150)


@pytest.mark.parametrize("end", [settle("r1", prompt=10), not_forwarded("r1")])
def test_an_ended_reservation_is_closed_to_a_late_reserve(end: object) -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50), end)  # type: ignore[arg-type]  # either command
    assert refused(story.when(reserve("r1", prompt=100, maximum=50))).code is RefusalCode.RESERVATION_CLOSED
    other = refused(story.when(reserve("r1", prompt=100, maximum=50, content_hash="other")))
    assert other.code is RefusalCode.CONFLICT
    assert story.balance.held == 0


def test_an_expired_reservation_is_closed_to_a_late_reserve() -> None:
    story = Story().given(reserve("r1", prompt=100, maximum=50)).after(seconds=901).given(expire("r1"))
    assert refused(story.when(reserve("r1", prompt=100, maximum=50))).code is RefusalCode.RESERVATION_CLOSED


@pytest.mark.parametrize("end", [settle("r1", prompt=10), not_forwarded("r1")])
def test_a_reserve_that_arrives_after_its_end_is_refused(end: object) -> None:
    story = Story().given(end)  # type: ignore[arg-type]  # either command
    assert refused(story.when(reserve("r1", prompt=100, maximum=50))).code is RefusalCode.RESERVATION_CLOSED
    assert story.balance.held == 0


def test_refusals_name_their_reservation() -> None:
    story = Story().given(status("blocked"))
    assert refused(story.when(reserve("r1", prompt=1))).reservation_id == "r1"


def test_time_never_runs_backwards() -> None:
    story = Story().given(opened()).after(days=31).given(reserve("r1", prompt=1, maximum=1))
    story.now -= timedelta(days=20)
    story.given(settle("r1", prompt=1))
    times = [at for at, _ in story.log]
    assert times == sorted(times)
    assert story.balance.cycle.id == "2026-02-10"


def test_without_a_default_plan_an_unknown_one_allows_nothing() -> None:
    story = Story().given(opened())
    story.policy = replace(POLICY, catalog=replace(CATALOG, plans={"trial": CATALOG.plans["trial"]}))
    assert refused(story.when(reserve("r1", prompt=1, maximum=1))).code is RefusalCode.MODEL_NOT_ALLOWED
