"""Subscriptions and what becomes of them, month by month, by billing's own rules; their invoices are made up."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

from billing.domain.entitlement import PlanRules
from billing.domain.history import Change
from billing.domain.subscription_facts import Invoice, InvoiceLine, InvoiceStatus, StripeStatus, SubscriptionFacts
from billing.domain.subscription_history import lines_of
from billing.domain.subscriptions import MADE_UP, Subscription, converge_subscription
from billing.store.invented import InventedSubscription
from billing.store.outbox import Said, Saying, said
from msgspec.structs import replace

from company.buying import CURRENCY


class Subscribed:
    """One subscription: invoices come one after the other, and each look tells what billing says of it then."""

    def __init__(self, random: Random, rules: PlanRules, account_id: str, of_order: str) -> None:
        self._random = random
        self._rules = rules
        self._status = StripeStatus.ACTIVE
        self._cancel_at: datetime | None = None
        self._ended_for_payment = False
        self._invoices: tuple[Invoice, ...] = ()
        subscription = Subscription(
            subscription_id=f"{MADE_UP}{random.getrandbits(96):024x}",
            account_id=account_id,
            order_id=of_order,
            customer_id=f"{MADE_UP}{random.getrandbits(64):016x}",
        )
        self.invented = InventedSubscription(subscription=subscription)

    @property
    def id(self) -> str:
        return self.invented.subscription.subscription_id

    def pays(
        self, plan: str, amount_minor: int, starts_at: datetime, ends_at: datetime, at: datetime
    ) -> Sequence[Said]:
        """A period is paid."""
        self._bill(plan, amount_minor, starts_at, ends_at, InvoiceStatus.PAID)
        return self._look(at)

    def raises(self, plan: str, amount_minor: int, ends_at: datetime, at: datetime) -> Sequence[Said]:
        """The rest of a period is paid at a higher plan's price."""
        self._bill(plan, amount_minor, at, ends_at, InvoiceStatus.PAID, prorated=True)
        return self._look(at)

    def does_not_pay(
        self, plan: str, amount_minor: int, starts_at: datetime, ends_at: datetime, at: datetime
    ) -> Sequence[Said]:
        """The renewal's payment is declined."""
        self._status = StripeStatus.PAST_DUE
        self._bill(plan, amount_minor, starts_at, ends_at, InvoiceStatus.OPEN)
        return self._look(at)

    def looks_again(self, at: datetime) -> Sequence[Said]:
        """As the sweep does, while a renewal is waited for."""
        return self._look(at)

    def is_cancelled(self, ends_at: datetime, at: datetime) -> Sequence[Said]:
        """By its person, at the end of what is paid."""
        self._cancel_at = ends_at
        return self._look(at)

    def is_given_back(self, at: datetime) -> Sequence[Said]:
        """What was paid last is refunded, and the subscription ended."""
        *before, last = self._invoices
        self._invoices = (*before, replace(last, refunded_minor=last.paid_minor))
        self._status = StripeStatus.CANCELED
        return self._look(at)

    def ends(self, at: datetime, *, for_payment: bool = False) -> Sequence[Said]:
        self._status, self._ended_for_payment = StripeStatus.CANCELED, for_payment
        return self._look(at)

    def _bill(
        self,
        plan: str,
        amount_minor: int,
        starts_at: datetime,
        ends_at: datetime,
        status: InvoiceStatus,
        *,
        prorated: bool = False,
    ) -> None:
        line = InvoiceLine(
            plan=plan, amount_minor=amount_minor, starts_at=starts_at, ends_at=ends_at, prorated=prorated
        )
        invoice = Invoice(
            invoice_id=f"{MADE_UP}in_{self._random.getrandbits(96):024x}",
            status=status,
            attempted=True,
            due_minor=amount_minor,
            paid_minor=amount_minor if status is InvoiceStatus.PAID else 0,
            currency=CURRENCY,
            lines=(line,),
        )
        self._invoices = (*self._invoices, invoice)

    def _look(self, at: datetime) -> Sequence[Said]:
        before = self.invented.subscription
        facts = SubscriptionFacts(
            subscription_id=before.subscription_id,
            customer_id=before.customer_id,
            status=self._status,
            as_of=at,
            invoices=self._invoices,
            cancel_at=self._cancel_at,
            ended_for_payment=self._ended_for_payment,
            order_id=before.order_id,
        )
        converged = converge_subscription(before, facts, self._rules)
        assert converged.doubt is None, "what is made up is as it was ordered"
        after, events = converged.subscription, [event for _, event in converged.events]
        changes: list[Change] = list(lines_of(before, after, events, who="webhook"))
        told = [said(Saying(account_id=after.account_id, subject_id=self.id, data=event), at) for event in events]
        self.invented = replace(
            self.invented,
            subscription=after,
            version=self.invented.version + (after != before),
            invoices=self._invoices,
            changes=[*self.invented.changes, *((at, change) for change in changes)],
            sayings=[*self.invented.sayings, *told],
        )
        return told


def months_after(moment: datetime, months: int) -> datetime:
    """The same day of a later month, or that month's last one."""
    ordinal = moment.year * 12 + moment.month - 1 + months
    year, month = ordinal // 12, ordinal % 12 + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))


def rest_of(amount_minor: int, starts_at: datetime, ends_at: datetime, at: datetime) -> int:
    """The part of a period's price that is for what is left of it, rounded down."""
    return (
        amount_minor
        * round((ends_at - at) / timedelta(seconds=1))
        // round((ends_at - starts_at) / timedelta(seconds=1))
    )
