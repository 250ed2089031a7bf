"""A subscription at Stripe, told as one would by hand: what happens to it changes what it says of itself."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from billing.domain.entitlement import PlanRules
from billing.domain.subscription_facts import (
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    StripeStatus,
    SubscriptionFacts,
)
from billing.domain.subscriptions import ConvergedSubscription, Subscription, SubscriptionEvent, converge_subscription
from contracts.events.billing import PlanSubscribed
from msgspec.structs import replace

START: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONTH: Final = timedelta(days=30)
DAY: Final = timedelta(days=1)
PRICES: Final = {"basic": 2_500, "pro": 5_000, "premium": 10_000}
RULES: Final = PlanRules(
    monthly_tokens={"basic": 1_000_000, "pro": 2_000_000, "premium": 4_000_000}, grace=timedelta(days=3)
)


class StripeSubscription:
    """One subscription; `now` is what its clock shows. Nothing here knows what billing makes of it."""

    def __init__(self, name: str = "sub_1", plan: str = "basic", now: datetime = START) -> None:
        self.name, self.plan, self.now = name, plan, now
        self.status = StripeStatus.INCOMPLETE
        self.invoices: list[Invoice] = []
        self.cancel_at: datetime | None = None
        self.ended_for_payment = False
        self.is_paused = False
        self.period: tuple[datetime, datetime] | None = None

    def facts(self) -> SubscriptionFacts:
        return SubscriptionFacts(
            subscription_id=self.name,
            customer_id="cus_1",
            status=self.status,
            as_of=self.now,
            invoices=tuple(self.invoices),
            cancel_at=self.cancel_at,
            ended_for_payment=self.ended_for_payment,
            is_paused=self.is_paused,
            order_id="order-1",
        )

    def pay_first(self) -> None:
        self._begin_period()
        self.invoices.append(self._invoice(self._whole_line()))
        self.status = StripeStatus.ACTIVE

    def pass_time(self, span: timedelta, *, cards_work: bool = True) -> None:
        """Let time pass; at a period's end Stripe renews, or tries to, or ends what was to end."""
        until = self.now + span
        while self.period is not None and self.period[1] <= until and not self.status.is_final:
            self.now = self.period[1]
            if self.cancel_at is not None and self.cancel_at <= self.now:
                self.status = StripeStatus.CANCELED
                break
            self._begin_period()
            self._renew(paid=cards_work)
        self.now = until

    def upgrade(self, plan: str, *, paid: bool = True) -> None:
        assert self.period is not None
        self.plan = plan
        rest = InvoiceLine(
            plan=plan, amount_minor=PRICES[plan] // 2, starts_at=self.now, ends_at=self.period[1], prorated=True
        )
        unused = InvoiceLine(
            plan="basic", amount_minor=-1_000, starts_at=self.now, ends_at=self.period[1], prorated=True
        )
        self.invoices.append(self._invoice(unused, rest, paid=paid))

    def change_price_for_later(self, plan: str) -> None:
        self.plan = plan

    def pay_open_invoices(self) -> None:
        self.invoices = [
            replace(each, status=InvoiceStatus.PAID, paid_minor=each.due_minor)
            if each.status is InvoiceStatus.OPEN
            else each
            for each in self.invoices
        ]
        if not self.status.is_final:
            self.status = StripeStatus.ACTIVE

    def cancel_at_period_end(self) -> None:
        assert self.period is not None
        self.cancel_at = self.period[1]

    def end_now(self, *, for_payment: bool = False) -> None:
        self.status, self.ended_for_payment = StripeStatus.CANCELED, for_payment

    def change_last(self, **fields: object) -> None:
        self.invoices[-1] = replace(self.invoices[-1], **fields)

    def _begin_period(self) -> None:
        self.period = (self.now, self.now + MONTH)

    def _renew(self, *, paid: bool) -> None:
        self.invoices.append(self._invoice(self._whole_line(), paid=paid and not self.is_paused))
        self.status = StripeStatus.ACTIVE if paid else StripeStatus.PAST_DUE

    def _whole_line(self) -> InvoiceLine:
        assert self.period is not None
        return InvoiceLine(
            plan=self.plan,
            amount_minor=PRICES[self.plan],
            starts_at=self.period[0],
            ends_at=self.period[1],
            prorated=False,
        )

    def _invoice(self, *lines: InvoiceLine, paid: bool = True) -> Invoice:
        due = sum(line.amount_minor for line in lines)
        return Invoice(
            invoice_id=f"in_{self.name}_{len(self.invoices) + 1}",
            status=InvoiceStatus.PAID if paid else InvoiceStatus.OPEN,
            attempted=not self.is_paused,
            due_minor=due,
            paid_minor=due if paid else 0,
            currency="brl",
            lines=lines,
            payment_intent_id=f"pi_{self.name}_{len(self.invoices) + 1}",
        )


class Told:
    """What billing keeps of an account's subscriptions, and all that it said of them, as its store would have it."""

    def __init__(self) -> None:
        self.stored: dict[str, Subscription] = {}
        self.events: list[SubscriptionEvent] = []

    def look(self, stripe: StripeSubscription) -> ConvergedSubscription:
        """Converge one subscription on what Stripe says of it now, with the account's others beside it."""
        rivals = [
            each
            for each in self.stored.values()
            if each.subscription_id != stripe.name and not each.status.is_final and each.standing == "sole"
        ]
        unseen = Subscription(subscription_id=stripe.name, account_id="ana", order_id="order-1", customer_id="cus_1")
        converged = converge_subscription(self.stored.get(stripe.name, unseen), stripe.facts(), RULES, rivals)
        for each in (converged.subscription, *converged.replaced):
            self.stored[each.subscription_id] = each
        self.events += [event for _, event in converged.events]
        return converged

    @property
    def given(self) -> str | None:
        plans = [each.given.plan for each in self.stored.values() if each.given is not None]
        assert len(plans) <= 1
        return plans[0] if plans else None

    def changes(self) -> Sequence[str]:
        """What was said, in short: `started basic`, `ended unpaid`, `reminder 1`."""
        return [_in_short(event) for event in self.events]


def _in_short(event: SubscriptionEvent) -> str:
    if isinstance(event, PlanSubscribed):
        return f"{event.change} {event.plan}"
    return f"reminder {event.reminder}" if hasattr(event, "reminder") else f"ended {event.cause}"
