"""Which event of billing tells what, under which key, until when, and what makes it untrue."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from contracts.envelope import CloudEvent
from contracts.events.billing import CreditsPurchased, OrderSource, PlanChange, PlanSubscribed
from contracts.events.registry import BILLING_EVENTS
from contracts.limits import MAX_INTEGER
from contracts.reads import BalanceRequest
from contracts.subjects import NOTIFIER_BILLING_CONSUMER, event_subject
from contracts.topology import CONSUMERS
from msgspec.structs import replace
from notifier.domain.billing_notices import (
    LIFETIME,
    SOMEBODY_ELSE,
    BillingNotice,
    ToldBillingEvent,
    billing_notice_of,
    is_heard,
    is_past,
    is_superseded,
    may_reopen,
    question_about,
)
from notifier.domain.mails import mail_message_id
from notifier.messaging.reading import TOLD_BILLING_EVENTS
from notifier.store.retention import RULES

from tests.support import receipt_examples as say
from tests.support.receipt_examples import EXAMPLES, NOW

LONGEST = "x" * 128


def at(data: ToldBillingEvent, hours: float = 0.0) -> BillingNotice:
    """The notice of an event that happened so many hours later."""
    moment = NOW + timedelta(hours=hours)
    return billing_notice_of(CloudEvent(id="e", type="any", source="billing", subject="ana", time=moment, data=data))


def test_all_that_billing_says_is_told_and_the_durable_reads_no_more() -> None:
    (durable,) = [each for each in CONSUMERS if each.durable_name == NOTIFIER_BILLING_CONSUMER]
    assert set(durable.filter_subjects) == {event_subject(name, "*") for name in TOLD_BILLING_EVENTS}
    assert TOLD_BILLING_EVENTS == BILLING_EVENTS
    assert {type(data) for data in EXAMPLES.values()} == set(get_args(ToldBillingEvent.__value__))


@pytest.mark.parametrize(
    ("data", "kind", "cause"),
    [
        (say.purchased(order_id="o"), "credits-purchased", "order:o"),
        (say.purchased(order_id="o", source=OrderSource.VOUCHER), "credits-purchased", "order:o"),
        (say.purchased(order_id="o", source=OrderSource.MANUAL), "credits-purchased", "order:o"),
        (say.purchased(order_id="o", source=OrderSource.TOP_UP), "top-up-done", "order:o"),
        (replace(say.revoked(revision=3), order_id="o"), "credits-revoked", "order:o:3"),
        (replace(say.restored(revision=4), order_id="o"), "credits-restored", "order:o:4"),
        (say.subscribed(revision=1, subscription_id="s"), "plan-changed", "subscription:s:1"),
        (say.subscribed(PlanChange.RENEWED, revision=2, subscription_id="s"), "plan-renewed", "subscription:s:2"),
        (say.ended(revision=3, subscription_id="s"), "plan-changed", "subscription:s:3"),
        (say.payment_failed(order_id="o"), "payment-failed", "order:o"),
        (
            say.renewal_failed(2, subscription_id="s", grace_ends_at=datetime(2026, 12, 1, tzinfo=UTC)),
            "renewal-failed",
            "subscription:s:1796083200:2",
        ),
        (say.top_up_paused(), "top-up-paused", "event:event-1"),
    ],
)
def test_a_notice_is_known_by_what_billing_counts(data: ToldBillingEvent, kind: str, cause: str) -> None:
    notice = say.notice(data)
    assert (notice.account_id, notice.kind, notice.cause) == ("ana", kind, cause)
    again = say.notice(data, event_id="event-2")
    assert (again.key == notice.key) is (kind != "top-up-paused")
    assert mail_message_id(notice, "solaris.example") != mail_message_id(
        say.notice(data, account_id="bia"), "s.example"
    )
    assert "ana" not in mail_message_id(notice, "solaris.example")


@pytest.mark.parametrize("data", EXAMPLES.values(), ids=EXAMPLES)
def test_the_longest_key_fits_its_column(data: ToldBillingEvent) -> None:
    names = {"order_id": LONGEST, "subscription_id": LONGEST, "revision": MAX_INTEGER}
    longest = replace(data, **{name: value for name, value in names.items() if name in data.__struct_fields__})
    assert len(say.notice(longest, event_id="e" * 128).cause) <= 160


@pytest.mark.parametrize(
    ("payer_id", "kept"), [(None, None), ("ana", None), ("bia", SOMEBODY_ELSE), ("somebody-else", SOMEBODY_ELSE)]
)
def test_who_else_paid_is_not_kept(payer_id: str | None, kept: str | None) -> None:
    for data in (say.purchased(payer_id=payer_id), say.subscribed(payer_id=payer_id)):
        held = say.notice(data).data
        assert isinstance(held, CreditsPurchased | PlanSubscribed)
        assert held.payer_id == kept


@pytest.mark.parametrize("data", EXAMPLES.values(), ids=EXAMPLES)
def test_a_receipt_is_worth_telling_for_a_month_and_its_key_is_known_for_longer(data: ToldBillingEvent) -> None:
    if hasattr(data, "grace_ends_at"):
        assert not is_past(at(data), data.grace_ends_at - timedelta(seconds=1))
        assert is_past(at(data), data.grace_ends_at)
    else:
        assert not is_past(at(data), NOW + LIFETIME - timedelta(seconds=1))
        assert is_past(at(data), NOW + LIFETIME)
    (kept,) = [rule.keep for rule in RULES if rule.table.name == "messages"]
    assert kept > LIFETIME


def test_a_failed_payment_is_no_news_of_an_order_that_is_paid_whichever_came_first() -> None:
    failed, paid = say.payment_failed(order_id="o"), say.purchased(order_id="o")
    for one, other in itertools.permutations((0, 5)):
        assert is_superseded(at(failed, one), [at(paid, other)])
        assert not is_superseded(at(paid, one), [at(failed, other)])
    assert not is_superseded(at(failed), [at(say.purchased(order_id="another"))])
    assert not is_superseded(at(failed), [at(replace(say.revoked(), order_id="o"))])


def test_a_failed_renewal_is_no_news_once_more_is_known_of_the_subscription() -> None:
    first, second = at(say.renewal_failed(1)), at(say.renewal_failed(2), 48)
    renewed, ended = at(say.subscribed(PlanChange.RENEWED, revision=2), 49), at(say.ended(), 72)
    assert is_superseded(first, [second])
    assert is_superseded(second, [first, renewed])
    assert is_superseded(second, [first, ended])
    assert not is_superseded(second, [first, at(say.subscribed(), -700)])
    assert not is_superseded(second, [at(say.subscribed(subscription_id="another"), 49)])


def test_of_a_plan_that_changed_without_a_payment_the_last_word_counts_and_receipts_all_stay() -> None:
    for before in (
        say.ended(revision=2),
        say.subscribed(PlanChange.UPGRADED, amount_minor=0, revision=2),
        say.subscribed(PlanChange.DOWNGRADED, amount_minor=0, revision=2),
    ):
        for after in (say.subscribed(PlanChange.RENEWED, revision=3), say.ended(revision=3)):
            assert is_superseded(at(before, 1), [at(after)])
            assert not is_superseded(at(after, 1), [at(before)]), "the higher revision, whenever it came"
    for change in PlanChange:
        assert not is_superseded(at(say.subscribed(change, revision=2)), [at(say.ended(revision=3), 1)])
    for change in (PlanChange.STARTED, PlanChange.RENEWED):
        assert not is_superseded(at(say.subscribed(change, amount_minor=0)), [at(say.ended(revision=3), 1)])


@pytest.mark.parametrize("data", EXAMPLES.values(), ids=EXAMPLES)
def test_what_may_reopen_a_chat_is_never_superseded_so_that_the_word_of_it_is_told_with_it(
    data: ToldBillingEvent,
) -> None:
    others = [at(each, 1) for each in EXAMPLES.values()]
    higher = [at(replace(each.data, revision=99)) for each in others if hasattr(each.data, "revision")]
    assert not (may_reopen(data) and is_superseded(at(data), [*others, *higher]))


@pytest.mark.parametrize("data", EXAMPLES.values(), ids=EXAMPLES)
def test_what_changes_the_balance_is_told_with_it_once_the_ledger_has_heard_it(data: ToldBillingEvent) -> None:
    question = question_about(data)
    if question == BalanceRequest():
        assert is_heard(data, None)
        return
    assert {question.order_id, question.subscription_id} & {
        getattr(data, "order_id", ""),
        getattr(data, "subscription_id", ""),
    }
    revision = getattr(data, "revision", 0)
    assert not is_heard(data, None)
    assert is_heard(data, revision)
    assert is_heard(data, revision + 1)
    assert revision == 0 or not is_heard(data, revision - 1)
