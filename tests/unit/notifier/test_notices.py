"""Which event tells what, under which key, and until when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.envelope import CloudEvent
from contracts.events.notices import AccessRestored, AllowanceExhausted, ThresholdCrossed, TokensExhausted
from contracts.subjects import NOTIFIER_LEDGER_CONSUMER, event_subject
from contracts.topology import CONSUMERS
from notifier.domain.mails import mail_message_id
from notifier.domain.notices import (
    Figures,
    Notice,
    event_type_of,
    is_stale,
    notice_of,
    threshold_percent,
)
from notifier.domain.retries import RetryPolicy
from notifier.messaging.reading import TOLD_EVENTS

NOW = datetime(2025, 11, 20, 15, 0, tzinfo=UTC)
RESET = datetime(2025, 12, 1, 3, 0, tzinfo=UTC)


def event(data: Any, id: str = "event-1") -> CloudEvent[Any]:  # noqa: A002  the envelope's own word
    return CloudEvent(id=id, type="any", source="ledger", subject="ana", time=NOW, data=data)


def threshold(percent: int = 80, limit: int = 1000) -> ThresholdCrossed:
    return ThresholdCrossed(
        percent=percent, monthly_used=800, monthly_limit=limit, credits=5, cycle_id="c1", resets_at=RESET
    )


def allowance(*, announced: bool) -> AllowanceExhausted:
    return AllowanceExhausted(
        monthly_used=1000,
        monthly_limit=1000,
        credits=5,
        announced_by_threshold=announced,
        cycle_id="c1",
        resets_at=RESET,
    )


def exhausted() -> TokensExhausted:
    return TokensExhausted(monthly_used=1000, monthly_limit=1000, credits=0, debt=7, cycle_id="c1", resets_at=RESET)


def key(data: Any, id: str = "event-1") -> tuple[str, str, str, str]:  # noqa: A002
    notice = notice_of(event(data, id))
    assert notice is not None
    return notice.account_id, notice.cycle_id, notice.kind, notice.cause


def test_a_threshold_is_told_once_for_each_limit_whichever_event_says_so() -> None:
    assert key(threshold()) == ("ana", "c1", "threshold-80", "limit:1000")
    assert key(threshold(), "event-2") == key(threshold())
    assert key(threshold(limit=2000)) != key(threshold())
    assert key(threshold(percent=90)) != key(threshold())


def test_an_exhausted_allowance_is_told_only_where_no_threshold_tells_it() -> None:
    assert notice_of(event(allowance(announced=True))) is None
    assert key(allowance(announced=False)) == ("ana", "c1", "allowance-exhausted", "limit:1000")


def test_running_out_is_told_once_for_each_event() -> None:
    assert key(exhausted()) == ("ana", "c1", "tokens-exhausted", "event:event-1")
    assert key(exhausted(), "event-2") != key(exhausted())


def test_restored_access_is_told_once_for_each_event() -> None:
    restored = AccessRestored(monthly_used=9, monthly_limit=9, credits=5, debt=0, cycle_id="c1", resets_at=RESET)
    assert key(restored) == ("ana", "c1", "access-restored", "event:event-1")
    assert key(restored, "event-2") != key(restored)


def test_every_kind_names_its_event() -> None:
    for data in (threshold(), allowance(announced=False), exhausted()):
        assert event_type_of(key(data)[2]) is type(data)
    assert event_type_of("access-restored") is AccessRestored


def test_a_kind_that_this_version_does_not_know_is_told_as_no_other() -> None:
    notice = notice_of(event(exhausted()))
    assert notice is not None
    with pytest.raises(ValueError, match="credits-granted"):
        _ = replace(notice, kind="credits-granted").tells


def test_the_durable_consumer_reads_the_events_that_people_are_told_about_and_no_other() -> None:
    (durable,) = [each for each in CONSUMERS if each.durable_name == NOTIFIER_LEDGER_CONSUMER]
    assert set(durable.filter_subjects) == {event_subject(name, "*") for name in TOLD_EVENTS}


def test_the_notice_carries_the_figures_of_the_event() -> None:
    notice = notice_of(event(exhausted()))
    assert notice is not None
    assert notice.figures == Figures(monthly_used=1000, monthly_limit=1000, credits=0, debt=7, resets_at=RESET)
    assert notice.occurred_at == NOW


@pytest.mark.parametrize(
    ("used", "limit", "percent"), [(799, 1000, 79), (999, 1000, 99), (1000, 1000, 100), (1500, 1000, 150), (0, 0, 100)]
)
def test_used_percent_is_rounded_down(used: int, limit: int, percent: int) -> None:
    figures = Figures(monthly_used=used, monthly_limit=limit, credits=0, debt=0, resets_at=RESET)
    assert figures.used_percent == percent
    assert figures.monthly_remaining == max(0, limit - used)


def notice(kind: str = "threshold-80") -> Notice:
    figures = Figures(monthly_used=800, monthly_limit=1000, credits=0, debt=0, resets_at=RESET)
    return Notice(account_id="ana", cycle_id="c1", kind=kind, cause="limit:1000", figures=figures, occurred_at=NOW)


@pytest.mark.parametrize(
    ("kind", "lifetime"),
    [
        ("threshold-80", timedelta(hours=24)),
        ("threshold-99", timedelta(hours=24)),
        ("threshold-100", timedelta(days=3)),
        ("allowance-exhausted", timedelta(days=3)),
        ("tokens-exhausted", timedelta(days=3)),
        ("access-restored", timedelta(hours=24)),
    ],
)
def test_old_news_is_stale(kind: str, lifetime: timedelta) -> None:
    assert not is_stale(notice(kind), NOW + lifetime - timedelta(seconds=1))
    assert is_stale(notice(kind), NOW + lifetime)


def test_news_of_an_ended_cycle_is_stale() -> None:
    late = Notice(
        account_id="ana",
        cycle_id="c1",
        kind="tokens-exhausted",
        cause="event:1",
        figures=notice().figures,
        occurred_at=RESET - timedelta(minutes=1),
    )
    assert not is_stale(late, RESET - timedelta(seconds=1))
    assert is_stale(late, RESET)


def test_message_id_depends_on_the_key_alone_and_hides_the_account() -> None:
    one, other = (
        mail_message_id(notice(), "solaris.example"),
        mail_message_id(notice("threshold-90"), "solaris.example"),
    )
    assert one == mail_message_id(notice(), "solaris.example") != other
    assert one.endswith("@solaris.example>")
    assert "ana" not in one


def test_threshold_percent_reads_the_kind() -> None:
    assert threshold_percent("threshold-95") == 95
    assert threshold_percent("tokens-exhausted") is None


def test_retries_double_up_to_an_hour_and_end_after_about_three_days() -> None:
    policy = RetryPolicy()
    delays = [policy.delay_after(attempt) for attempt in range(1, 200)]
    waits = [delay.total_seconds() for delay in delays if delay is not None]
    assert waits[:4] == [5, 10, 20, 40]
    assert max(waits) == 3600
    assert delays[len(waits) :] == [None] * (199 - len(waits))
    assert timedelta(days=2.5) < timedelta(seconds=sum(waits)) < timedelta(days=3.5)


def test_an_address_is_looked_up_a_few_times_over_the_first_minutes() -> None:
    policy = RetryPolicy()
    delays = [policy.address_delay_after(check) for check in range(1, 8)]
    assert [delay.total_seconds() for delay in delays if delay is not None] == [5, 15, 40, 120, 300]
    assert delays[5:] == [None, None]
