"""Two subscriptions of one account: one gives its plan, and what was paid for the other in vain is given back."""

from billing.domain.subscriptions import Standing

from tests.unit.billing.subscription_story import DAY, MONTH, StripeSubscription, Told


def two() -> tuple[StripeSubscription, StripeSubscription, Told]:
    return StripeSubscription("sub_1"), StripeSubscription("sub_2", "pro"), Told()


def test_the_second_of_two_paid_ones_is_cancelled_and_refunded_and_gives_nothing() -> None:
    first, second, told = two()
    first.pay_first()
    second.pay_first()
    told.look(first)
    duties = told.look(second).duties
    assert told.changes() == ["started basic"]
    assert duties.cancel
    assert [invoice.invoice_id for invoice in duties.refund] == ["in_sub_2_1"]
    second.end_now()
    second.change_last(refund_pending_minor=5_000)
    assert not told.look(second).duties
    assert told.look(first).subscription.standing is Standing.SOLE


def test_a_superfluous_one_gives_nothing_even_when_the_first_has_ended() -> None:
    first, second, told = two()
    first.pay_first()
    second.pay_first()
    told.look(first)
    told.look(second)
    first.end_now()
    told.look(first)
    told.look(second)
    assert told.changes() == ["started basic", "ended cancelled"]


def test_a_new_one_replaces_one_whose_renewal_failed() -> None:
    first, second, told = two()
    first.pay_first()
    told.look(first)
    first.pass_time(MONTH + DAY, cards_work=False)
    told.look(first)
    second.now = first.now
    second.pay_first()
    told.look(second)
    assert told.changes() == ["started basic", "reminder 1", "ended replaced", "started pro"]
    duties = told.look(first).duties
    assert (duties.cancel, duties.void, duties.refund) == (True, ("in_sub_1_2",), ())


def test_a_replaced_one_that_is_paid_all_the_same_is_refunded_for_that_period_alone() -> None:
    first, second, told = two()
    first.pay_first()
    told.look(first)
    first.pass_time(MONTH + 5 * DAY, cards_work=False)
    told.look(first)
    second.now = first.now
    second.pay_first()
    told.look(second)
    first.pay_open_invoices()
    duties = told.look(first).duties
    assert [invoice.invoice_id for invoice in duties.refund] == ["in_sub_1_2"]
    assert told.changes()[-1] == "started pro"
