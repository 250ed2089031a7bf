"""Budget windows: days, weeks and per-model caps beside the month; an offer is the least that any of them leaves."""

from datetime import UTC, datetime

import pytest
from contracts.events.reservations import UsageSettled
from contracts.reservations import RefusalFigures, RefusingCap
from ledger.domain.catalog import Plan
from ledger.domain.windows import Cap, Scope
from msgspec.structs import replace

from tests.unit.ledger.story import (
    CATALOG,
    POLICY,
    START,
    Story,
    expire,
    grant,
    granted,
    limit,
    not_forwarded,
    opened,
    refused,
    reserve,
    settle,
)

DAY = Cap(Scope.DAY, 1_000)
WEEK = Cap(Scope.WEEK, 3_000)
MODEL_A_DAY = Cap(Scope.DAY, 300, "known")


def capped(*caps: Cap) -> Story:
    plan = Plan(name="basic", monthly_tokens=10_000, caps=caps)
    return Story(replace(POLICY, catalog=replace(CATALOG, plans={**CATALOG.plans, "basic": plan})))


def use(story: Story, name: str, tokens: int, model: str = "known") -> None:
    granted(story.when(reserve(name, prompt=tokens, output_free=True, model=model)))
    story.given(settle(name, prompt=tokens, model=model))


def refusal(story: Story, tokens: int) -> RefusalFigures:
    figures = refused(story.when(reserve("refused", prompt=tokens, output_free=True))).figures
    assert figures is not None
    return figures


def standing(story: Story) -> list[tuple[str, int, int]]:
    return [(window.id, window.used, window.held) for window in story.account.windows]


def test_the_month_is_a_budget_window_that_is_always_there() -> None:
    story = Story().given(reserve("r1", prompt=40, output_free=True), settle("r1", prompt=30))
    story.given(reserve("r2", prompt=7, output_free=True))
    account = story.account
    assert (account.monthly_used, account.held, account.running_cycle.ends_at) == (
        30,
        7,
        datetime(2026, 2, 10, tzinfo=UTC),
    )
    assert account.windows == ()


def test_a_day_offers_what_it_has_left_and_the_next_day_all() -> None:
    story = capped(DAY)
    use(story, "r1", 700)
    figures = refused(story.when(reserve("r2", prompt=301, output_free=True))).figures
    assert figures is not None
    assert (figures.available, figures.exhausted) == (300, False)
    assert figures.resets_at == datetime(2026, 1, 11, tzinfo=UTC)
    use(story, "r3", 300)
    story.after(days=1)
    use(story, "r4", 1_000)
    assert standing(story) == [("day:*:2026-01-11", 1_000, 0)]


def test_the_output_is_cut_to_the_least_window() -> None:
    answer = granted(capped(DAY, MODEL_A_DAY).when(reserve("r1", prompt=10)))
    assert (answer.held_tokens <= 300, answer.write_maximum) == (True, True)


def test_holds_count_in_every_window_that_a_call_stands_in() -> None:
    story = capped(DAY, WEEK, MODEL_A_DAY)
    granted(story.when(reserve("r1", prompt=200, output_free=True)))
    assert standing(story) == [
        ("day:*:2026-01-10", 0, 200),
        ("week:*:2026-01-05", 0, 200),
        ("day:known:2026-01-10", 0, 200),
    ]
    refused(story.when(reserve("r2", prompt=101, output_free=True)))
    granted(story.when(reserve("r3", prompt=700, output_free=True, model="weighted")))


def test_a_call_s_window_is_that_of_its_admission() -> None:
    story = capped(DAY)
    granted(story.when(reserve("r1", prompt=900, output_free=True)))
    story.after(days=1)
    granted(story.when(reserve("r2", prompt=900, output_free=True)))
    story.given(settle("r1", prompt=400))
    (settled,) = story.happened(UsageSettled)
    assert [ref.id for ref in settled.windows] == ["day:*:2026-01-10"]
    assert standing(story) == [("day:*:2026-01-11", 0, 900)]


def test_what_ends_unused_expires_or_is_corrected_moves_the_window() -> None:
    story = capped(DAY)
    granted(story.when(reserve("r1", prompt=900, output_free=True)))
    story.given(not_forwarded("r1"))
    assert standing(story) == [("day:*:2026-01-10", 0, 0)]
    granted(story.when(reserve("r2", prompt=800, output_free=True)))
    story.after(minutes=16).given(expire("r2"))
    assert standing(story) == [("day:*:2026-01-10", 800, 0)]
    story.given(settle("r2", prompt=50))
    assert standing(story) == [("day:*:2026-01-10", 50, 0)]


def test_what_a_mode_let_through_counts_too() -> None:
    story = capped(DAY).given(opened(), settle("r1", prompt=1_200, forwarded_without_hold=True))
    assert standing(story) == [("day:*:2026-01-10", 1_200, 0)]
    refused(story.when(reserve("r2", prompt=1, output_free=True)))


def test_a_month_s_cap_by_model_ends_with_the_cycle() -> None:
    story = capped(Cap(Scope.MONTH, 500, "known"))
    use(story, "r1", 500)
    refused(story.when(reserve("r2", prompt=1, output_free=True)))
    story.at(datetime(2026, 2, 10, tzinfo=UTC))
    use(story, "r3", 500)
    assert standing(story) == [("month:known:2026-02-10", 500, 0)]


@pytest.mark.parametrize(
    ("moment", "day", "week"),
    [
        (START, "day:*:2026-01-10", "week:*:2026-01-05"),
        (datetime(2026, 1, 11, 23, 59, tzinfo=UTC), "day:*:2026-01-11", "week:*:2026-01-05"),
        (datetime(2026, 1, 12, tzinfo=UTC), "day:*:2026-01-12", "week:*:2026-01-12"),
    ],
)
def test_days_end_at_midnight_and_weeks_on_sunday(moment: datetime, day: str, week: str) -> None:
    story = capped(DAY, WEEK).at(moment)
    granted(story.when(reserve("r1", prompt=1, output_free=True)))
    assert [window.id for window in story.account.windows] == [day, week]


def test_a_cap_that_refuses_is_named_with_what_calls_in_flight_hold_of_it() -> None:
    story = capped(DAY, MODEL_A_DAY)
    use(story, "r1", 100)
    granted(story.when(reserve("r2", prompt=150, output_free=True)))
    granted(story.when(reserve("r3", prompt=600, output_free=True, model="other")))
    figures = refusal(story, 51)
    assert (figures.available, figures.held) == (50, 150)
    assert figures.cap == RefusingCap(scope="day", every_model=False)


def test_a_balance_that_refuses_names_no_cap() -> None:
    story = capped(DAY).given(opened(), limit(500), reserve("r1", prompt=400, output_free=True))
    figures = refusal(story, 200)
    assert (figures.available, figures.held, figures.cap) == (100, 400, None)
    assert figures.resets_at == datetime(2026, 2, 10, tzinfo=UTC)


def test_credits_are_not_asked_for_where_a_cap_would_refuse_all_the_same() -> None:
    story = capped(DAY).given(opened(), limit(100))
    use(story, "r1", 90)
    story.given(settle("r2", prompt=850, forwarded_without_hold=True))
    assert refusal(story, 100).cap == RefusingCap(scope="day")
    story.given(grant("lot", 1_000))
    assert refusal(story, 100).cap == RefusingCap(scope="day")


def test_of_two_caps_the_one_that_is_renewed_last_is_told() -> None:
    story = capped(DAY, replace(WEEK, tokens=1_000))
    use(story, "r1", 990)
    figures = refusal(story, 20)
    assert figures.cap == RefusingCap(scope="week")
    assert figures.resets_at == datetime(2026, 1, 12, tzinfo=UTC)


def test_the_end_of_other_calls_is_not_waited_for_where_another_cap_would_refuse_all_the_same() -> None:
    story = capped(DAY, MODEL_A_DAY)
    use(story, "r1", 240)
    granted(story.when(reserve("r2", prompt=710, output_free=True, model="other")))
    figures = refusal(story, 100)
    assert (figures.available, figures.held) == (60, 0)
    assert figures.cap == RefusingCap(scope="day", every_model=False)
