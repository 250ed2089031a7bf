"""Any history of two subscriptions of one account, looked at whenever: nobody gets two allowances for one payment."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from billing.domain.entitlement import paid_periods
from billing.domain.subscription_facts import Invoice, InvoiceStatus
from billing.domain.subscriptions import Given, Standing
from contracts.events.billing import PlanEnded, PlanSubscribed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace

from tests.unit.billing.subscription_story import DAY, MONTH, PRICES, RULES, StripeSubscription, Told

plans = st.sampled_from(sorted(PRICES))
spans = st.sampled_from([timedelta(hours=1), DAY, 2 * DAY, 4 * DAY, 15 * DAY, MONTH, 2 * MONTH])
picks = st.integers(0, 1)


class SubscriptionMachine(RuleBasedStateMachine):
    """Stripe's side is told by `StripeSubscription`; billing looks at it at moments that are drawn, or not at all."""

    @initialize()
    def begin(self) -> None:
        self.both = [StripeSubscription("sub_1"), StripeSubscription("sub_2")]
        self.told = Told()

    def one(self, pick: int) -> StripeSubscription:
        return self.both[pick]

    @rule(pick=picks, plan=plans)
    def buy(self, pick: int, plan: str) -> None:
        stripe = self.one(pick)
        if stripe.period is None:
            stripe.plan = plan
            stripe.pay_first()

    @rule(span=spans, cards_work=st.booleans())
    def wait(self, span: timedelta, cards_work: bool) -> None:
        for stripe in self.both:
            stripe.pass_time(span, cards_work=cards_work)

    @rule(pick=picks, plan=plans, paid=st.booleans())
    def change_at_once(self, pick: int, plan: str, paid: bool) -> None:
        stripe = self.one(pick)
        if stripe.period is not None and not stripe.status.is_final:
            stripe.upgrade(plan, paid=paid)

    @rule(pick=picks, plan=plans)
    def change_later(self, pick: int, plan: str) -> None:
        self.one(pick).change_price_for_later(plan)

    @rule(pick=picks)
    def pay_late(self, pick: int) -> None:
        self.one(pick).pay_open_invoices()

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        if self.one(pick).period is not None:
            self.one(pick).cancel_at_period_end()

    @rule(pick=picks, for_payment=st.booleans())
    def end(self, pick: int, for_payment: bool) -> None:
        if self.one(pick).period is not None:
            self.one(pick).end_now(for_payment=for_payment)

    @rule(pick=picks, parts=st.integers(0, 3), disputed=st.booleans())
    def take_back(self, pick: int, parts: int, disputed: bool) -> None:
        stripe = self.one(pick)
        if stripe.invoices and stripe.invoices[-1].status is InvoiceStatus.PAID:
            stripe.change_last(refunded_minor=stripe.invoices[-1].paid_minor * parts // 3, disputed=disputed)

    @precondition(lambda self: any(stripe.invoices for stripe in self.both))
    @rule(pick=picks, do_duties=st.booleans())
    def look(self, pick: int, do_duties: bool) -> None:
        stripe, before = self.one(pick), dict(self.told.stored)
        converged = self.told.look(stripe)
        self.assert_nobody_is_given_more_than_was_paid()
        given = converged.subscription.given
        assert given is None or any(_keeps(invoice, given, stripe.now) for invoice in stripe.invoices)
        for replaced in converged.replaced:
            lost = before[replaced.subscription_id].given
            assert lost is None or lost.ends_at <= stripe.now
        said = len(self.told.events)
        self.told.look(stripe)
        assert len(self.told.events) == said
        if do_duties:
            self.do_duties(stripe)

    def do_duties(self, stripe: StripeSubscription) -> None:
        duties = self.told.look(stripe).duties
        if duties.cancel:
            stripe.end_now()
        for number, invoice in enumerate(stripe.invoices):
            if invoice.invoice_id in duties.void:
                stripe.invoices[number] = replace(invoice, status=InvoiceStatus.VOID)
            if invoice in duties.refund:
                stripe.invoices[number] = replace(invoice, refunded_minor=invoice.paid_minor)

    def assert_one_at_most_gives_a_plan(self) -> None:
        giving: set[str] = set()
        for event in self.told.events:
            if isinstance(event, PlanSubscribed):
                giving |= {event.subscription_id}
            elif isinstance(event, PlanEnded):
                giving -= {event.subscription_id}
            assert len(giving) <= 1, "the end of another is said before"

    def assert_nobody_is_given_more_than_was_paid(self) -> None:
        self.assert_one_at_most_gives_a_plan()
        for stripe in self.both:
            said = [event for event in self.told.events if event.subscription_id == stripe.name]
            assert [event.revision for event in said if hasattr(event, "revision")] == list(
                range(1, 1 + sum(hasattr(event, "revision") for event in said))
            )
            subscribed = [event for event in said if isinstance(event, PlanSubscribed)]
            paid = [invoice for invoice in stripe.invoices if invoice.status is InvoiceStatus.PAID]
            for event in subscribed:
                assert any(_pays_for(invoice, event) for invoice in paid)
            periods = sorted({(event.period_starts_at, event.period_ends_at) for event in subscribed})
            assert all(before[1] <= after[0] for before, after in pairwise(periods))
            assert len(periods) <= sum(any(not line.prorated for line in invoice.lines) for invoice in paid)

    def teardown(self) -> None:
        if not hasattr(self, "told"):
            return
        for _ in range(3):
            for stripe in self.both:
                if stripe.invoices:
                    self.told.look(stripe)
                    self.do_duties(stripe)
        self.assert_nobody_is_given_more_than_was_paid()
        for stripe in self.both:
            if stripe.invoices:
                assert not self.told.look(stripe).duties
                self.assert_what_was_paid_is_given(stripe)

    def assert_what_was_paid_is_given(self, stripe: StripeSubscription) -> None:
        """Whoever paid for now has the plan, or the money back."""
        stored = self.told.stored[stripe.name]
        current = [each for each in paid_periods(stripe.invoices, RULES) if each.starts_at <= stripe.now < each.ends_at]
        if current and not current[-1].taken_back and not stripe.status.is_final:
            assert stored.standing is Standing.SOLE
            assert stored.given is not None
            assert stored.given.plan == current[-1].plan


def _keeps(invoice: Invoice, given: Given, now: datetime) -> bool:
    """Whether the money of what is given is still there, and its time not over."""
    whole = any(line.starts_at == given.starts_at and not line.prorated for line in invoice.lines)
    kept = invoice.status is InvoiceStatus.PAID and not invoice.is_taken_back
    return whole and kept and now < given.ends_at + RULES.grace


def _pays_for(invoice: Invoice, event: PlanSubscribed) -> bool:
    return any(
        line.plan == event.plan
        and line.amount_minor > 0
        and event.period_starts_at <= line.starts_at < event.period_ends_at
        for line in invoice.lines
    )


TestSubscriptionHistories = pytest.mark.timeout(300)(SubscriptionMachine.TestCase)
