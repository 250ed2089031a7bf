"""A subscription's life as its person lives it: what each thing that happens makes billing say."""

from datetime import timedelta

import pytest
from billing.domain.subscription_facts import InvoiceLine, InvoiceStatus, StripeStatus
from billing.domain.subscriptions import Doubt
from contracts.events.billing import PlanSubscribed, RenewalFailed

from tests.unit.billing.subscription_story import DAY, MONTH, START, StripeSubscription, Told


def started(plan: str = "basic") -> tuple[StripeSubscription, Told]:
    stripe, told = StripeSubscription(plan=plan), Told()
    stripe.pay_first()
    told.look(stripe)
    return stripe, told


def test_nothing_is_given_before_the_first_payment() -> None:
    stripe, told = StripeSubscription(), Told()
    told.look(stripe)
    assert told.changes() == []


def test_the_first_payment_starts_the_plan_for_its_period() -> None:
    stripe, told = started()
    told.look(stripe)
    (event,) = told.events
    assert isinstance(event, PlanSubscribed)
    assert (event.change, event.plan, event.revision, event.amount_minor) == ("started", "basic", 1, 2_500)
    assert (event.period_starts_at, event.period_ends_at) == (START, START + MONTH)


def test_each_paid_renewal_is_told_once() -> None:
    stripe, told = started()
    for _ in range(3):
        stripe.pass_time(MONTH)
        told.look(stripe)
        told.look(stripe)
    assert told.changes() == ["started basic", *["renewed basic"] * 3]


def test_a_paid_upgrade_raises_within_its_period() -> None:
    stripe, told = started()
    stripe.pass_time(10 * DAY)
    stripe.upgrade("pro")
    told.look(stripe)
    last = told.events[-1]
    assert isinstance(last, PlanSubscribed)
    assert (last.change, last.plan, last.period_starts_at) == ("upgraded", "pro", START)


def test_an_upgrade_that_nobody_paid_raises_nothing() -> None:
    stripe, told = started()
    stripe.upgrade("premium", paid=False)
    told.look(stripe)
    assert told.changes() == ["started basic"]
    stripe.pay_open_invoices()
    told.look(stripe)
    assert told.changes() == ["started basic", "upgraded premium"]


def test_a_downgrade_waits_for_the_period_s_end() -> None:
    stripe, told = started("premium")
    stripe.change_price_for_later("basic")
    told.look(stripe)
    stripe.pass_time(29 * DAY)
    told.look(stripe)
    assert told.given == "premium"
    stripe.pass_time(DAY)
    told.look(stripe)
    assert told.changes() == ["started premium", "downgraded basic"]


def test_a_downgrade_with_time_given_back_keeps_what_was_paid_until_the_period_s_end() -> None:
    stripe, told = started("basic")
    stripe.upgrade("premium")
    told.look(stripe)
    stripe.upgrade("basic")
    told.look(stripe)
    assert told.given == "premium"


def test_a_cancellation_takes_effect_at_the_period_s_end() -> None:
    stripe, told = started()
    stripe.cancel_at_period_end()
    told.look(stripe)
    stripe.pass_time(29 * DAY)
    told.look(stripe)
    assert told.changes() == ["started basic"]
    stripe.pass_time(DAY)
    told.look(stripe)
    assert told.changes() == ["started basic", "ended cancelled"]


def test_a_cancellation_is_seen_at_the_period_s_end_though_stripe_says_nothing() -> None:
    stripe, told = started()
    stripe.cancel_at_period_end()
    assert told.look(stripe).look_again == DAY
    stripe.now = START + MONTH - timedelta(hours=1)
    assert told.look(stripe).look_again == timedelta(hours=1)
    stripe.now = START + MONTH
    told.look(stripe)
    assert told.changes()[-1] == "ended cancelled"


def test_one_that_is_ended_at_once_gives_nothing_any_more() -> None:
    stripe, told = started()
    stripe.pass_time(5 * DAY)
    stripe.end_now()
    told.look(stripe)
    assert told.changes() == ["started basic", "ended cancelled"]


def test_a_failed_renewal_is_told_twice_and_ends_the_plan_after_its_grace() -> None:
    stripe, told = started()
    stripe.pass_time(MONTH, cards_work=False)
    told.look(stripe)
    told.look(stripe)
    assert told.changes()[1:] == ["reminder 1"]
    stripe.pass_time(DAY)
    told.look(stripe)
    stripe.pass_time(DAY)
    told.look(stripe)
    told.look(stripe)
    assert told.changes()[1:] == ["reminder 1", "reminder 2"]
    stripe.pass_time(DAY - timedelta(seconds=1))
    told.look(stripe)
    assert told.given == "basic"
    stripe.pass_time(timedelta(seconds=1))
    told.look(stripe)
    assert told.changes()[1:] == ["reminder 1", "reminder 2", "ended unpaid"]


def test_a_reminder_names_what_is_owed_and_until_when() -> None:
    stripe, told = started()
    stripe.pass_time(MONTH, cards_work=False)
    told.look(stripe)
    reminder = told.events[-1]
    assert isinstance(reminder, RenewalFailed)
    assert (reminder.amount_minor, reminder.currency) == (2_500, "brl")
    assert reminder.grace_ends_at == START + MONTH + 3 * DAY


def test_an_invoice_that_stripe_has_not_tried_yet_is_no_failure() -> None:
    stripe, told = started()
    stripe.pass_time(MONTH, cards_work=False)
    stripe.change_last(attempted=False)
    told.look(stripe)
    assert told.changes() == ["started basic"]
    stripe.pass_time(DAY)
    told.look(stripe)
    assert told.changes()[1:] == ["reminder 1"]


@pytest.mark.parametrize("late", [timedelta(hours=1), 2 * DAY, 20 * DAY])
def test_what_is_paid_late_is_a_renewal(late: timedelta) -> None:
    stripe, told = started()
    stripe.pass_time(MONTH, cards_work=False)
    told.look(stripe)
    stripe.pass_time(late, cards_work=False)
    told.look(stripe)
    stripe.pay_open_invoices()
    told.look(stripe)
    told.look(stripe)
    assert told.changes()[-1] == "renewed basic"
    last = told.events[-1]
    assert isinstance(last, PlanSubscribed)
    assert last.period_starts_at == START + MONTH


def test_the_next_failed_renewal_is_told_anew() -> None:
    stripe, told = started()
    for _ in range(2):
        stripe.pass_time(MONTH, cards_work=False)
        told.look(stripe)
        stripe.pay_open_invoices()
        told.look(stripe)
    assert told.changes()[1:] == ["reminder 1", "renewed basic"] * 2


def test_one_that_stripe_gave_up_is_unpaid() -> None:
    stripe, told = started()
    stripe.pass_time(MONTH, cards_work=False)
    stripe.end_now(for_payment=True)
    told.look(stripe)
    assert told.changes() == ["started basic", "ended unpaid"]


@pytest.mark.parametrize("taken", [{"refunded_minor": 2_500}, {"disputed": True}])
def test_a_payment_taken_back_ends_the_plan_and_one_given_back_brings_it_back(taken: dict[str, object]) -> None:
    stripe, told = started()
    stripe.change_last(**taken)
    told.look(stripe)
    assert told.changes() == ["started basic", "ended taken_back"]
    stripe.change_last(refunded_minor=0, disputed=False)
    told.look(stripe)
    last = told.events[-1]
    assert isinstance(last, PlanSubscribed)
    assert (last.revision, last.period_starts_at) == (3, START)


def test_a_part_refunded_takes_no_plan() -> None:
    stripe, told = started()
    stripe.change_last(refunded_minor=2_499)
    told.look(stripe)
    assert told.changes() == ["started basic"]


def test_an_upgrade_that_is_refunded_leaves_the_plan_below() -> None:
    stripe, told = started()
    stripe.upgrade("pro")
    told.look(stripe)
    stripe.change_last(refunded_minor=stripe.invoices[-1].paid_minor)
    told.look(stripe)
    assert told.changes() == ["started basic", "upgraded pro", "downgraded basic"]


def test_a_fully_discounted_period_is_given() -> None:
    stripe, told = StripeSubscription(), Told()
    stripe.pay_first()
    stripe.change_last(paid_minor=0, due_minor=0)
    told.look(stripe)
    assert told.changes() == ["started basic"]


def test_a_trial_gives_nothing() -> None:
    stripe, told = StripeSubscription(), Told()
    stripe.pay_first()
    stripe.status = StripeStatus.TRIALING
    line = InvoiceLine(plan="basic", amount_minor=0, starts_at=START, ends_at=START + MONTH, prorated=False)
    stripe.change_last(paid_minor=0, due_minor=0, lines=(line,))
    told.look(stripe)
    assert told.changes() == []


@pytest.mark.parametrize("status", [StripeStatus.INCOMPLETE, StripeStatus.INCOMPLETE_EXPIRED])
def test_a_first_payment_that_does_not_come_gives_nothing(status: StripeStatus) -> None:
    stripe, told = StripeSubscription(), Told()
    stripe.pay_first()
    stripe.change_last(status=InvoiceStatus.OPEN, paid_minor=0)
    stripe.status = status
    told.look(stripe)
    assert told.changes() == []


def test_one_whose_collection_is_paused_ends_with_its_period_without_reminders() -> None:
    stripe, told = started()
    stripe.is_paused = True
    stripe.pass_time(MONTH)
    told.look(stripe)
    assert told.changes() == ["started basic", "ended cancelled"]


def test_a_period_moved_by_an_operator_is_no_second_allowance() -> None:
    stripe, told = started()
    stripe.pass_time(10 * DAY)
    stripe.pay_first()
    told.look(stripe)
    starts = {event.period_starts_at for event in told.events if isinstance(event, PlanSubscribed)}
    assert starts == {START}


def test_a_price_that_no_plan_has_changes_nothing_and_is_reported() -> None:
    stripe, told = started()
    stripe.pass_time(MONTH)
    unknown = InvoiceLine(plan=None, amount_minor=9, starts_at=stripe.now, ends_at=stripe.now + MONTH, prorated=False)
    stripe.change_last(lines=(unknown,))
    assert told.look(stripe).doubt is Doubt.UNKNOWN_PRICE
    assert told.changes() == ["started basic"]


def test_a_history_that_lacks_what_was_told_ends_nothing_and_is_reported() -> None:
    stripe, told = started()
    stripe.invoices.clear()
    assert told.look(stripe).doubt is Doubt.MISSING_HISTORY
    assert told.given == "basic"
