"""Which plan a subscription's payments give at a moment, and why none: computed from its facts alone."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from contracts.events.billing import PlanEnd
from msgspec import Struct
from msgspec.structs import replace

from billing.domain.subscription_facts import Invoice, InvoiceLine, InvoiceStatus, SubscriptionFacts


class PlanRules(Struct, frozen=True, kw_only=True):
    """`monthly_tokens` of each plan, by which one is higher than another; `grace`: how long a renewal may be unpaid."""

    monthly_tokens: Mapping[str, int]
    grace: timedelta

    def higher(self, plan: str, other: str) -> bool:
        """Whether a plan gives more than another."""
        return self.monthly_tokens[plan] > self.monthly_tokens[other]


class PaidPeriod(Struct, frozen=True, kw_only=True):
    """One paid period, `starts_at` inclusive, `ends_at` exclusive, and the highest plan that was paid in it."""

    plan: str
    starts_at: datetime
    ends_at: datetime
    invoice_id: str
    amount_minor: int
    currency: str
    taken_back: bool


class Entitled(Struct, frozen=True, kw_only=True):
    """The plan of `period` is due; `grace_ends_at`: the period is over, and its renewal is waited for until then."""

    period: PaidPeriod
    grace_ends_at: datetime | None = None


class NotEntitled(Struct, frozen=True, kw_only=True):
    """No plan is due."""

    cause: PlanEnd


class UnknownPriceError(Exception):
    """Something was paid for that no plan of the catalog names; nothing may be concluded from the rest."""


def entitlement(facts: SubscriptionFacts, rules: PlanRules) -> Entitled | NotEntitled:
    """What the subscription's payments give at `facts.as_of` (decision 21).

    Paid is what counts: a higher price without a paid invoice gives nothing more, and a lower one takes nothing that
    was paid for. What is over waits for its renewal as long as the grace, unless none will come.

    Raises:
        UnknownPriceError: a paid line has a price that no plan has.
    """
    periods = paid_periods(facts.invoices, rules)
    if not periods:
        return NotEntitled(cause=PlanEnd.UNPAID if facts.ended_for_payment else PlanEnd.CANCELLED)
    last = periods[-1]
    if last.taken_back:
        return NotEntitled(cause=PlanEnd.TAKEN_BACK)
    is_over = facts.as_of >= last.ends_at
    ends_by_itself = facts.is_paused or (facts.cancel_at is not None and facts.cancel_at <= last.ends_at)
    if facts.status.is_final:
        unpaid = facts.ended_for_payment or (is_over and not ends_by_itself)
        return NotEntitled(cause=PlanEnd.UNPAID if unpaid else PlanEnd.CANCELLED)
    if not is_over:
        return Entitled(period=last)
    if ends_by_itself:
        return NotEntitled(cause=PlanEnd.CANCELLED)
    grace_ends_at = last.ends_at + rules.grace
    if facts.as_of < grace_ends_at:
        return Entitled(period=last, grace_ends_at=grace_ends_at)
    return NotEntitled(cause=PlanEnd.UNPAID)


def paid_periods(invoices: Iterable[Invoice], rules: PlanRules) -> list[PaidPeriod]:
    """The paid periods, the oldest first.

    One that begins inside of another (an operator moved the day of payment) prolongs that one: what was paid for it is
    less than a whole period, so it is no allowance of its own.

    Raises:
        UnknownPriceError: see `entitlement`.
    """
    paid = [invoice for invoice in invoices if invoice.status is InvoiceStatus.PAID]
    whole = sorted(
        (period for invoice in paid for period in _whole_periods(invoice)),
        key=lambda period: (period.starts_at, rules.monthly_tokens[period.plan], period.invoice_id),
    )
    periods: list[PaidPeriod] = []
    for period in whole:
        if periods and period.starts_at < periods[-1].ends_at and not periods[-1].taken_back:
            periods[-1] = _prolonged(periods[-1], period, rules)
        else:
            periods.append(period)
    raises = [line for invoice in paid if not invoice.is_taken_back for line in invoice.lines if _is_raise(line)]
    return [_raised(period, raises, rules) for period in periods]


def awaited_invoice(facts: SubscriptionFacts, period: PaidPeriod) -> Invoice | None:
    """The invoice that would renew the period, where Stripe has one that is not paid."""
    for invoice in facts.invoices:
        if invoice.status in {InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE} and any(
            not line.prorated and line.starts_at >= period.ends_at for line in invoice.lines
        ):
            return invoice
    return None


def _whole_periods(invoice: Invoice) -> Iterable[PaidPeriod]:
    for line in invoice.lines:
        # A trial's line costs nothing before discounts: nothing was paid for, so nothing is given.
        if not line.prorated and line.amount_minor > 0:
            yield PaidPeriod(
                plan=_plan_of(line),
                starts_at=line.starts_at,
                ends_at=line.ends_at,
                invoice_id=invoice.invoice_id,
                amount_minor=invoice.paid_minor,
                currency=invoice.currency,
                taken_back=invoice.is_taken_back,
            )


def _is_raise(line: InvoiceLine) -> bool:
    return line.prorated and line.amount_minor > 0


def _plan_of(line: InvoiceLine) -> str:
    if line.plan is None:
        raise UnknownPriceError
    return line.plan


def _prolonged(period: PaidPeriod, inner: PaidPeriod, rules: PlanRules) -> PaidPeriod:
    if inner.taken_back:
        return period
    plan = inner.plan if rules.higher(inner.plan, period.plan) else period.plan
    return replace(period, plan=plan, ends_at=max(period.ends_at, inner.ends_at))


def _raised(period: PaidPeriod, raises: Iterable[InvoiceLine], rules: PlanRules) -> PaidPeriod:
    for line in raises:
        plan = _plan_of(line)
        if period.starts_at <= line.starts_at < period.ends_at and rules.higher(plan, period.plan):
            period = replace(period, plan=plan)
    return period
