"""What several notices of one account become: the gravest that is still true, which names the others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from notifier.domain.alerts import Alert, compose_alert
from notifier.domain.composing import Composed, Context, Standing
from notifier.domain.notices import Figures, Notice

NOW = datetime(2025, 11, 20, 15, 0, tzinfo=UTC)
RESET = datetime(2025, 12, 1, 3, 0, tzinfo=UTC)
LIMIT = 1_000


def figures(used: int = LIMIT, granted: int = 0, limit: int = LIMIT) -> Figures:
    return Figures(monthly_used=used, monthly_limit=limit, credits=granted, debt=0, resets_at=RESET)


def notice(kind: str, *, minute: int = 0, at: Figures | None = None) -> Notice:
    return Notice(
        account_id="ana",
        cycle_id="c1",
        kind=kind,
        cause=f"event:{kind}:{minute}",
        figures=at or figures(),
        occurred_at=NOW - timedelta(minutes=30 - minute),
    )


def now_is(
    *,
    used: int = LIMIT,
    granted: int = 0,
    limit: int = LIMIT,
    exhausted: bool | None = False,
    cycle: str = "c1",
    active: bool = True,
) -> Standing:
    return Standing(
        cycle_id=cycle, figures=figures(used, granted, limit), is_active=active, exhausted=exhausted, as_of=NOW
    )


def told(composed: Composed[Alert]) -> list[str]:
    """The lead's kind, then the others'."""
    return [composed.told.lead.kind, *(other.kind for other in composed.told.others)] if composed.told else []


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["threshold-80"], ["threshold-80"]),
        (["threshold-80", "threshold-90", "threshold-95"], ["threshold-95", "threshold-90", "threshold-80"]),
        (["threshold-100", "threshold-80"], ["threshold-100", "threshold-80"]),
        (["allowance-exhausted", "threshold-100"], ["threshold-100"]),
        (["threshold-77", "allowance-exhausted"], ["allowance-exhausted", "threshold-77"]),
        (
            ["threshold-80", "tokens-exhausted", "threshold-100", "threshold-90", "threshold-95"],
            ["tokens-exhausted", "threshold-100", "threshold-95", "threshold-90", "threshold-80"],
        ),
    ],
)
def test_the_gravest_leads_and_names_the_others(kinds: list[str], expected: list[str]) -> None:
    notices = [notice(kind) for kind in kinds]
    composed = compose_alert(notices, Context(), now_is(exhausted="tokens-exhausted" in kinds), NOW)
    assert told(composed) == expected
    assert (
        compose_alert(notices[::-1], Context(), now_is(exhausted="tokens-exhausted" in kinds), NOW).told
        == composed.told
    )


def test_running_out_is_old_news_once_there_are_tokens_again() -> None:
    notices = [notice("threshold-100"), notice("tokens-exhausted", minute=1)]
    composed = compose_alert(notices, Context(), now_is(granted=50_000), NOW)
    assert told(composed) == ["threshold-100"]
    assert composed.overtaken == (notices[1],)
    assert composed.told is not None
    assert composed.told.figures.credits == 50_000


OUT_BEFORE = replace(notice("tokens-exhausted", minute=-9), cycle_id="c0")


def test_that_one_may_go_on_leads_what_was_crossed_on_the_way() -> None:
    notices = [notice("threshold-100"), notice("access-restored", minute=2)]
    context = Context(told=[OUT_BEFORE])
    assert told(compose_alert(notices, context, now_is(granted=50_000), NOW)) == ["access-restored", "threshold-100"]


def test_access_restored_is_old_news_once_it_is_gone_again_or_the_account_is_suspended() -> None:
    restored, context = notice("access-restored"), Context(told=[OUT_BEFORE])
    assert told(compose_alert([restored], context, now_is(granted=9, exhausted=False), NOW)) == ["access-restored"]
    assert told(compose_alert([restored], context, now_is(exhausted=True), NOW)) == []
    assert told(compose_alert([restored], context, now_is(granted=9, exhausted=False, active=False), NOW)) == []


def test_access_restored_is_told_to_those_alone_who_were_told_last_that_they_are_out() -> None:
    out, back = notice("tokens-exhausted", minute=1), notice("access-restored", minute=2)
    again, back_again = notice("tokens-exhausted", minute=3), notice("access-restored", minute=4)
    credited = now_is(granted=9)
    assert told(compose_alert([back], Context(), credited, NOW)) == []
    assert told(compose_alert([out, back], Context(), credited, NOW)) == []
    assert told(compose_alert([back, again, back_again], Context(told=[out]), credited, NOW)) == ["access-restored"]
    assert told(compose_alert([again, back_again], Context(told=[out, back]), credited, NOW)) == []
    assert told(compose_alert([back_again], Context(told=[back, again, out]), credited, NOW)) == ["access-restored"]
    assert told(compose_alert([back_again], Context(told=[out, back]), None, NOW)) == []


def test_of_running_out_twice_in_a_row_only_the_last_is_told() -> None:
    first, last = notice("tokens-exhausted", minute=1), notice("tokens-exhausted", minute=9)
    between = notice("access-restored", minute=5)
    assert compose_alert([first, between], Context(later=[last]), now_is(exhausted=True), NOW).told is None
    assert told(compose_alert([last], Context(), now_is(exhausted=True), NOW)) == ["tokens-exhausted"]


def test_what_happened_at_the_same_moment_is_not_lost() -> None:
    out, back = notice("tokens-exhausted"), notice("access-restored")
    assert told(compose_alert([out, back], Context(), now_is(exhausted=True), NOW)) == ["tokens-exhausted"]
    assert told(compose_alert([back], Context(told=[out]), now_is(granted=9), NOW)) == ["access-restored"]
    assert told(compose_alert([back], Context(told=[out]), None, NOW)) == ["access-restored"]


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (now_is(used=800), ["threshold-80"]),
        (now_is(used=799), []),
        (now_is(used=800, limit=2_000), []),
        (now_is(used=0, limit=0), []),
        (now_is(used=900, cycle="c2"), []),
    ],
)
def test_a_threshold_is_true_while_it_is_reached_in_its_cycle(standing: Standing, expected: list[str]) -> None:
    assert told(compose_alert([notice("threshold-80")], Context(), standing, NOW)) == expected


def test_an_exhausted_allowance_is_old_news_under_a_higher_limit() -> None:
    assert told(compose_alert([notice("allowance-exhausted")], Context(), now_is(), NOW)) == ["allowance-exhausted"]
    assert told(compose_alert([notice("allowance-exhausted")], Context(), now_is(limit=2_000), NOW)) == []


def test_an_older_ledger_is_judged_by_its_figures() -> None:
    out = notice("tokens-exhausted", at=figures(used=990))
    assert told(compose_alert([out], Context(), now_is(used=990, exhausted=None), NOW)) == ["tokens-exhausted"]
    assert told(compose_alert([out], Context(), now_is(used=990, granted=5_000, exhausted=None), NOW)) == []
    restored, context = notice("access-restored"), Context(told=[OUT_BEFORE])
    assert told(compose_alert([restored], context, now_is(granted=5, exhausted=None), NOW)) == ["access-restored"]
    assert told(compose_alert([restored], context, now_is(exhausted=None), NOW)) == []


def test_without_a_standing_the_notices_are_believed_and_their_latest_figures_shown() -> None:
    early, late = notice("tokens-exhausted", minute=1), notice("threshold-100", minute=2, at=figures(granted=7))
    composed = compose_alert([early, late], Context(), None, NOW)
    assert told(composed) == ["tokens-exhausted", "threshold-100"]
    assert composed.told is not None
    assert composed.told.figures.credits == 7
    assert composed.told.as_of == late.occurred_at


def test_what_lay_too_long_is_left_out_and_the_rest_is_told() -> None:
    old = replace(notice("threshold-80"), occurred_at=NOW - timedelta(hours=25))
    composed = compose_alert([old, notice("threshold-90")], Context(), now_is(), NOW)
    assert told(composed) == ["threshold-90"]
    assert composed.stale == (old,)
    assert compose_alert([old], Context(), now_is(), NOW).told is None


def test_a_lower_threshold_that_comes_after_a_higher_one_was_told_is_old_news() -> None:
    late, told = notice("threshold-95"), replace(notice("threshold-100"), cause="limit:1000")
    under_this_limit = replace(late, cause="limit:1000")
    assert compose_alert([under_this_limit], Context(told=[told]), now_is(), NOW).overtaken == (under_this_limit,)
    under_another = replace(late, cause="limit:2000")
    assert _kinds([under_another], [told]) == ["threshold-95"]
    in_another_cycle = replace(told, cycle_id="c0")
    assert _kinds([under_this_limit], [in_another_cycle]) == ["threshold-95"]
    assert _kinds([replace(notice("threshold-100"), cause="limit:1000")], [under_this_limit]) == ["threshold-100"]


def test_running_out_that_comes_late_is_not_told_after_a_later_one() -> None:
    first, second = notice("tokens-exhausted", minute=1), notice("tokens-exhausted", minute=9)
    out = now_is(exhausted=True)
    assert compose_alert([first], Context(told=[second]), out, NOW).told is None
    assert told(compose_alert([second], Context(told=[first]), out, NOW)) == ["tokens-exhausted"]


def _kinds(notices: list[Notice], told_before: list[Notice]) -> list[str]:
    return told(compose_alert(notices, Context(told=told_before), now_is(), NOW))
