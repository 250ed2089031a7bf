"""Which periods are paid, and who gives way where an account has two subscriptions: case by case."""

from datetime import datetime, timedelta

import pytest
from billing.domain.entitlement import paid_periods
from billing.domain.subscription_facts import Invoice, InvoiceLine, InvoiceStatus
from billing.domain.subscriptions import (
    SECOND_REMINDER,
    ConvergedSubscription,
    Doubt,
    Standing,
    Subscription,
    converge_subscription,
)

from tests.unit.billing.subscription_story import DAY, MONTH, PRICES, RULES, START, StripeSubscription, Told


def whole(plan: str, starts_at: datetime, *, refunded: bool = False, number: int = 1) -> Invoice:
    return invoice(line(plan, PRICES[plan], starts_at, starts_at + MONTH), refunded=refunded, number=number)


def line(
    plan: str, amount_minor: int, starts_at: datetime, ends_at: datetime, *, prorated: bool = False
) -> InvoiceLine:
    return InvoiceLine(plan=plan, amount_minor=amount_minor, starts_at=starts_at, ends_at=ends_at, prorated=prorated)


def invoice(*lines: InvoiceLine, refunded: bool = False, number: int = 1) -> Invoice:
    paid_minor = max(0, sum(each.amount_minor for each in lines))
    return Invoice(
        invoice_id=f"in_{number}",
        status=InvoiceStatus.PAID,
        attempted=True,
        due_minor=paid_minor,
        paid_minor=paid_minor,
        currency="brl",
        lines=lines,
        refunded_minor=paid_minor if refunded else 0,
    )


def periods(*invoices: Invoice) -> list[tuple[str, datetime, datetime]]:
    return [(each.plan, each.starts_at, each.ends_at) for each in paid_periods(invoices, RULES)]


MOVED = START + 10 * DAY
END = START + MONTH


def test_a_period_that_begins_inside_of_another_prolongs_it() -> None:
    inner = whole("pro", MOVED, number=2)
    assert periods(whole("basic", START), inner) == [("pro", START, MOVED + MONTH)]


def test_an_inner_period_whose_payment_is_gone_prolongs_nothing() -> None:
    inner = whole("pro", MOVED, refunded=True, number=2)
    assert periods(whole("basic", START), inner) == [("basic", START, END)]


def test_a_period_inside_of_one_whose_payment_is_gone_stands_alone() -> None:
    inner = whole("pro", MOVED, number=2)
    found = periods(whole("basic", START, refunded=True), inner)
    assert found == [("basic", START, END), ("pro", MOVED, MOVED + MONTH)]


def test_time_of_a_higher_plan_that_is_given_back_raises_nothing() -> None:
    back = invoice(line("premium", -5_000, MOVED, END, prorated=True), number=2)
    assert periods(whole("basic", START), back) == [("basic", START, END)]


@pytest.mark.parametrize(("at", "plan"), [(START, "pro"), (END - timedelta(seconds=1), "pro"), (END, "basic")])
def test_a_raise_belongs_to_the_period_in_which_it_begins(at: datetime, plan: str) -> None:
    raised = invoice(line("pro", 1, at, END + DAY, prorated=True), number=2)
    assert periods(whole("basic", START), raised) == [(plan, START, END)]


# --- two of one account ---------------------------------------------------------------------------------------------


def two(*, first_cards_work: bool = True) -> tuple[StripeSubscription, StripeSubscription, Told]:
    """The first gives its plan; the second is paid when the first one's period ends."""
    first, second, told = StripeSubscription("sub_1"), StripeSubscription("sub_2"), Told()
    first.pay_first()
    told.look(first)
    first.pass_time(MONTH, cards_work=first_cards_work)
    second.now = first.now
    second.pay_first()
    return first, second, told


def test_one_that_is_over_in_this_very_second_gives_way() -> None:
    _, second, told = two(first_cards_work=False)
    (replaced,) = told.look(second).replaced
    assert replaced.standing is Standing.REPLACED
    assert told.changes() == ["started basic", "ended replaced", "started basic"]


def test_a_replaced_one_s_invoices_are_voided_also_where_stripe_gave_up_on_them() -> None:
    first, second, told = two(first_cards_work=False)
    told.look(second)
    for status in (InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE):
        first.change_last(status=status)
        assert told.look(first).duties.void == (first.invoices[-1].invoice_id,)


def test_what_is_disputed_is_not_refunded_too() -> None:
    first, second, told = two()
    told.look(first)
    assert told.look(second).duties.refund == (second.invoices[0],)
    second.change_last(disputed=True)
    assert told.look(second).duties.refund == ()


def test_whoever_gives_a_plan_leaves_one_alone_that_is_not_paid_yet() -> None:
    first, told = StripeSubscription("sub_1"), Told()
    first.pay_first()
    told.look(first)
    told.look(StripeSubscription("sub_2"))
    assert told.look(first).replaced == []
    assert told.stored["sub_2"].standing is Standing.SOLE


# --- doubts, and when to look again ---------------------------------------------------------------------------------


def look(stripe: StripeSubscription, stored: Subscription, *, is_ordered: bool = True) -> ConvergedSubscription:
    return converge_subscription(stored, stripe.facts(), RULES, is_ordered=is_ordered)


def test_a_plan_whose_order_is_not_paid_as_ordered_is_not_given() -> None:
    stripe = StripeSubscription()
    stripe.pay_first()
    stored = Subscription(subscription_id="sub_1", account_id="ana", order_id="order-1", customer_id="cus_1")
    doubted = look(stripe, stored, is_ordered=False)
    assert (doubted.doubt, list(doubted.events), doubted.subscription.given) == (Doubt.NOT_ORDERED, [], None)


def test_a_list_that_ends_before_the_period_that_was_told_concludes_nothing() -> None:
    stripe, told = StripeSubscription(), Told()
    stripe.pay_first()
    stripe.pass_time(MONTH)
    told.look(stripe)
    stripe.invoices.pop()
    stripe.now += 5 * DAY
    assert told.look(stripe).doubt is Doubt.MISSING_HISTORY
    assert told.given == "basic"


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("after_the_end", "given", "look_again"),
    [
        (RULES.grace - 3 * SECOND, "basic", 3 * SECOND),
        (RULES.grace - SECOND, "basic", SECOND),
        (RULES.grace, None, DAY),
    ],
)
def test_the_last_second_of_the_grace_is_served_and_the_next_is_not(
    after_the_end: timedelta, given: str | None, look_again: timedelta
) -> None:
    stripe, told = StripeSubscription(), Told()
    stripe.pay_first()
    told.look(stripe)
    stripe.pass_time(MONTH, cards_work=False)
    stripe.now = END + after_the_end
    assert told.look(stripe).look_again == look_again
    assert told.given == given


def test_the_second_mail_of_the_grace_is_due_in_its_second() -> None:
    stripe, told = StripeSubscription(), Told()
    stripe.pay_first()
    told.look(stripe)
    stripe.pass_time(MONTH, cards_work=False)
    stripe.now = END + SECOND_REMINDER - SECOND
    assert told.look(stripe).look_again == SECOND
    stripe.now += SECOND
    told.look(stripe)
    assert told.changes() == ["started basic", "reminder 1", "reminder 2"]
