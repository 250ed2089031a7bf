"""Converges a subscription: from what is stored and what Stripe says, the new state and what is to be told."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from contracts.events.billing import PlanChange, PlanEnd, PlanEnded, PlanSubscribed, RenewalFailed
from msgspec import Struct
from msgspec.structs import replace

from billing.domain.entitlement import (
    Entitled,
    NotEntitled,
    PaidPeriod,
    PlanRules,
    UnknownPriceError,
    awaited_invoice,
    entitlement,
    paid_periods,
)
from billing.domain.subscription_facts import Invoice, InvoiceStatus, StripeStatus, SubscriptionFacts

LOOK_DAILY: Final = timedelta(days=1)
LOOK_HOURLY: Final = timedelta(hours=1)
LOOK_SOON: Final = timedelta(minutes=10)
SECOND_REMINDER: Final = timedelta(days=2)
"""So long after a period's end they are told once more that its renewal failed, if the grace lasts as long."""
MADE_UP: Final = "made_up_"
"""How the ids begin of subscriptions, customers and invoices that were invented: Stripe knows of none of them."""
UNSEEN_FAILURE: Final = timedelta(days=1)
"""So long after a period's end a renewal that nobody has seen fail counts as failed; Stripe tries within hours."""

type SubscriptionEvent = PlanSubscribed | PlanEnded | RenewalFailed


class Standing(StrEnum):
    """A subscription's place among those of its account, of which one at most gives a plan.

    `superfluous`: another one gave a plan when this was paid. `replaced`: another one was paid while this one gave
    none, or waited for its renewal. Either is cancelled, and what was paid for it and never given is refunded.
    """

    SOLE = "sole"
    SUPERFLUOUS = "superfluous"
    REPLACED = "replaced"


class Given(Struct, frozen=True, kw_only=True):
    """The plan that the subscription gives now, and the paid period that gives it."""

    plan: str
    starts_at: datetime
    ends_at: datetime


class Subscription(Struct, frozen=True, kw_only=True):
    """A subscription as billing keeps it; who pays it may be another than the `account_id` that it is for.

    `revision` counts its events. `told_starts_at` is the start of the newest period that was told: none is told as new
    twice. `reminders` of the renewal after the period that ends at `reminded_ends_at` were sent.
    """

    subscription_id: str
    account_id: str
    order_id: str
    customer_id: str
    payer_id: str | None = None
    status: StripeStatus = StripeStatus.INCOMPLETE
    standing: Standing = Standing.SOLE
    given: Given | None = None
    told_starts_at: datetime | None = None
    reminders: int = 0
    reminded_ends_at: datetime | None = None
    cancel_at: datetime | None = None
    revision: int = 0


class Duties(Struct, frozen=True, kw_only=True):
    """What is still to be done at Stripe: end the subscription, let nobody pay these invoices, give back those."""

    cancel: bool = False
    void: tuple[str, ...] = ()
    refund: tuple[Invoice, ...] = ()

    def __bool__(self) -> bool:
        return self.cancel or bool(self.void) or bool(self.refund)


class Doubt(StrEnum):
    """Why nothing is concluded from what Stripe says, and an operator should look.

    Its order is not paid as it was ordered; something was paid for that no plan of the catalog names; or a period that
    was told is not among the paid ones.
    """

    NOT_ORDERED = "not_ordered"
    UNKNOWN_PRICE = "unknown_price"
    MISSING_HISTORY = "missing_history"


class ConvergedSubscription(Struct, frozen=True, kw_only=True):
    """A subscription after a look: what it is now, what is told (in this order), what it was paid, what is to be done.

    `look_again`: when to look anew, counted from this look; None: only if Stripe says so. `replaced` are the account's
    other subscriptions that this look changed, as they are now. With a `doubt` all is left as it was.
    """

    subscription: Subscription
    events: Sequence[tuple[Subscription, SubscriptionEvent]] = ()
    periods: Sequence[PaidPeriod] = ()
    duties: Duties = Duties()
    look_again: timedelta | None = None
    replaced: Sequence[Subscription] = ()
    doubt: Doubt | None = None


def converge_subscription(
    stored: Subscription,
    facts: SubscriptionFacts,
    rules: PlanRules,
    rivals: Sequence[Subscription] = (),
    *,
    is_ordered: bool = True,
) -> ConvergedSubscription:
    """What becomes of the subscription; `rivals` are the account's other ones of sole standing that have not ended.

    `is_ordered`: it was paid at first as its order says.

    Looking twice at the same facts tells nothing the second time, and a paid period is told as new once, whatever the
    order in which things become known.
    """
    seen = replace(stored, status=facts.status, cancel_at=facts.cancel_at)
    try:
        due = entitlement(facts, rules)
        periods = paid_periods(facts.invoices, rules)
    except UnknownPriceError:
        return ConvergedSubscription(subscription=seen, look_again=LOOK_HOURLY, doubt=Doubt.UNKNOWN_PRICE)
    if periods and not is_ordered:
        return ConvergedSubscription(subscription=seen, look_again=LOOK_SOON, doubt=Doubt.NOT_ORDERED)
    if seen.told_starts_at is not None and (not periods or periods[-1].starts_at < seen.told_starts_at):
        return ConvergedSubscription(subscription=seen, look_again=LOOK_HOURLY, doubt=Doubt.MISSING_HISTORY)
    replaced: list[Subscription] = []
    events: list[tuple[Subscription, SubscriptionEvent]] = []
    if isinstance(due, Entitled) and seen.standing is Standing.SOLE and seen.given is None:
        if any(_gives_for_sure(rival, facts) for rival in rivals):
            seen = replace(seen, standing=Standing.SUPERFLUOUS)
        else:
            for rival, ended in map(_replace_rival, rivals):
                replaced.append(rival)
                events += [(rival, ended)] if ended is not None else []
    if seen.standing is not Standing.SOLE:
        due = NotEntitled(cause=PlanEnd.REPLACED)
    after, told = _tell(seen, due, facts, rules)
    duties = _duties(after, facts)
    return ConvergedSubscription(
        subscription=after,
        events=[*events, *((after, event) for event in told)],
        periods=periods,
        duties=duties,
        look_again=_look_again(after, due, facts, duties),
        replaced=replaced,
    )


def _gives_for_sure(rival: Subscription, facts: SubscriptionFacts) -> bool:
    """Whether the other one's period is paid; where it waits for its renewal the newer payment counts."""
    return rival.given is not None and rival.given.ends_at > facts.as_of


def _replace_rival(rival: Subscription) -> tuple[Subscription, PlanEnded | None]:
    replaced = replace(rival, standing=Standing.REPLACED)
    return (replaced, None) if rival.given is None else _end(replaced, PlanEnd.REPLACED)


def _tell(
    stored: Subscription, due: Entitled | NotEntitled, facts: SubscriptionFacts, rules: PlanRules
) -> tuple[Subscription, Sequence[SubscriptionEvent]]:
    if isinstance(due, NotEntitled):
        if stored.given is None:
            return stored, ()
        after, ended = _end(stored, due.cause)
        return after, (ended,)
    after, told = _subscribe(stored, due.period, rules)
    reminded, reminder = _remind(after, due, facts)
    return reminded, [event for event in (told, reminder) if event is not None]


def _end(stored: Subscription, cause: PlanEnd) -> tuple[Subscription, PlanEnded]:
    if stored.given is None:
        raise ValueError("nothing is given that could end")
    after = replace(stored, given=None, revision=stored.revision + 1)
    event = PlanEnded(
        subscription_id=after.subscription_id, revision=after.revision, plan=stored.given.plan, cause=cause
    )
    return after, event


def _subscribe(
    stored: Subscription, period: PaidPeriod, rules: PlanRules
) -> tuple[Subscription, PlanSubscribed | None]:
    given = Given(plan=period.plan, starts_at=period.starts_at, ends_at=period.ends_at)
    if stored.given == given:
        return stored, None
    after = replace(stored, given=given, told_starts_at=given.starts_at, revision=stored.revision + 1)
    event = PlanSubscribed(
        subscription_id=after.subscription_id,
        revision=after.revision,
        plan=given.plan,
        change=_change(stored, given, rules),
        period_starts_at=given.starts_at,
        period_ends_at=given.ends_at,
        order_id=after.order_id,
        amount_minor=period.amount_minor,
        currency=period.currency,
        payer_id=after.payer_id,
    )
    return after, event


def _change(stored: Subscription, given: Given, rules: PlanRules) -> PlanChange:
    if stored.told_starts_at is None:
        return PlanChange.STARTED
    before = stored.given
    if before is None or before.plan == given.plan or before.plan not in rules.monthly_tokens:
        return PlanChange.RENEWED
    return PlanChange.UPGRADED if rules.higher(given.plan, before.plan) else PlanChange.DOWNGRADED


def _remind(stored: Subscription, due: Entitled, facts: SubscriptionFacts) -> tuple[Subscription, RenewalFailed | None]:
    """Tell that a renewal failed, on the day it does and once more before the grace is over."""
    if due.grace_ends_at is None:
        return stored, None
    ends_at = due.period.ends_at
    sent = stored.reminders if stored.reminded_ends_at == ends_at else 0
    invoice = awaited_invoice(facts, due.period)
    failed = facts.as_of >= ends_at + UNSEEN_FAILURE or (
        invoice is not None and (invoice.attempted or invoice.status is not InvoiceStatus.OPEN)
    )
    wanted = 2 if failed and facts.as_of >= ends_at + SECOND_REMINDER else int(failed)
    if wanted <= sent:
        return stored, None
    after = replace(stored, reminders=wanted, reminded_ends_at=ends_at)
    event = RenewalFailed(
        subscription_id=after.subscription_id,
        plan=due.period.plan,
        reminder=wanted,
        amount_minor=due.period.amount_minor if invoice is None else invoice.due_minor,
        currency=due.period.currency if invoice is None else invoice.currency,
        grace_ends_at=due.grace_ends_at,
    )
    return after, event


def _duties(stored: Subscription, facts: SubscriptionFacts) -> Duties:
    if stored.standing is Standing.SOLE:
        return Duties()
    return Duties(
        cancel=not facts.status.is_final,
        void=tuple(
            invoice.invoice_id
            for invoice in facts.invoices
            if invoice.status in {InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE}
        ),
        refund=tuple(invoice for invoice in facts.invoices if _was_paid_in_vain(stored, invoice)),
    )


def _was_paid_in_vain(stored: Subscription, invoice: Invoice) -> bool:
    taken_back = invoice.refunded_minor + invoice.refund_pending_minor
    if invoice.status is not InvoiceStatus.PAID or invoice.disputed or taken_back >= invoice.paid_minor:
        return False
    given_until = stored.told_starts_at
    return given_until is None or any(not line.prorated and line.starts_at > given_until for line in invoice.lines)


def _look_again(
    stored: Subscription, due: Entitled | NotEntitled, facts: SubscriptionFacts, duties: Duties
) -> timedelta | None:
    if duties:
        return LOOK_SOON
    if isinstance(due, NotEntitled):
        return None if facts.status.is_final else LOOK_DAILY
    if due.grace_ends_at is not None:
        moments = [due.period.ends_at + SECOND_REMINDER, due.grace_ends_at]
        return min([LOOK_SOON, *(moment - facts.as_of for moment in moments if moment > facts.as_of)])
    moments = [due.period.ends_at] if stored.cancel_at is None else [due.period.ends_at, stored.cancel_at]
    return min([LOOK_DAILY, *(moment - facts.as_of for moment in moments if moment > facts.as_of)])
