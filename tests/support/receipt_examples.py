"""One receipt of each sort that people can get, for tests of their words and looks."""

from datetime import UTC, datetime, timedelta

from contracts.envelope import CloudEvent
from contracts.events.billing import (
    CreditsPurchased,
    OrderSource,
    PaymentFailed,
    PlanChange,
    PlanEnd,
    PlanEnded,
    PlanSubscribed,
    PurchaseRestored,
    PurchaseRevoked,
    RenewalFailed,
    TakenBackFor,
    TopUpPause,
    TopUpPaused,
)
from notifier.domain.billing_notices import BillingNotice, ToldBillingEvent, billing_notice_of
from notifier.domain.composing import Standing
from notifier.domain.notices import Figures, Notice
from notifier.domain.receipts import Receipt

NOW = datetime(2026, 11, 20, 15, 4, tzinfo=UTC)
ORDER = "ord_019ab2c4d7e87f31"


def purchased(
    *,
    order_id: str = ORDER,
    tokens: int = 500_000,
    amount_minor: int = 7_490,
    currency: str = "brl",
    source: OrderSource = OrderSource.PACKAGE,
    package_id: str | None = "small",
    payer_id: str | None = None,
    expires_at: datetime | None = None,
) -> CreditsPurchased:
    return CreditsPurchased(
        order_id=order_id,
        tokens=tokens,
        amount_minor=amount_minor,
        currency=currency,
        source=source,
        package_id=package_id,
        payer_id=payer_id,
        expires_at=expires_at,
    )


def revoked(
    cause: TakenBackFor = TakenBackFor.REFUND, *, tokens: int = 250_000, amount_minor: int = 3_745, revision: int = 1
) -> PurchaseRevoked:
    return PurchaseRevoked(
        order_id=ORDER,
        revision=revision,
        tokens=tokens,
        amount_minor=amount_minor,
        currency="brl",
        cause=cause,
        reference="re_1",
    )


def restored(
    cause: TakenBackFor = TakenBackFor.DISPUTE, *, tokens: int = 500_000, amount_minor: int = 7_490, revision: int = 2
) -> PurchaseRestored:
    return PurchaseRestored(
        order_id=ORDER,
        revision=revision,
        tokens=tokens,
        amount_minor=amount_minor,
        currency="brl",
        cause=cause,
        reference="dp_1",
    )


def subscribed(
    change: PlanChange = PlanChange.STARTED,
    *,
    plan: str = "premium",
    amount_minor: int = 24_900,
    revision: int = 1,
    payer_id: str | None = None,
    subscription_id: str = "sub_1",
) -> PlanSubscribed:
    return PlanSubscribed(
        subscription_id=subscription_id,
        revision=revision,
        plan=plan,
        change=change,
        period_starts_at=NOW,
        period_ends_at=NOW + timedelta(days=30),
        order_id=ORDER,
        amount_minor=amount_minor,
        currency="brl",
        payer_id=payer_id,
    )


def ended(
    cause: PlanEnd = PlanEnd.CANCELLED, *, plan: str = "premium", revision: int = 2, subscription_id: str = "sub_1"
) -> PlanEnded:
    return PlanEnded(subscription_id=subscription_id, revision=revision, plan=plan, cause=cause)


def payment_failed(source: OrderSource = OrderSource.PACKAGE, *, order_id: str = ORDER) -> PaymentFailed:
    return PaymentFailed(order_id=order_id, tokens=500_000, amount_minor=7_490, currency="brl", source=source)


def renewal_failed(
    reminder: int = 1,
    *,
    plan: str = "premium",
    subscription_id: str = "sub_1",
    grace_ends_at: datetime = NOW + timedelta(days=3),
) -> RenewalFailed:
    return RenewalFailed(
        subscription_id=subscription_id,
        plan=plan,
        reminder=reminder,
        amount_minor=24_900,
        currency="brl",
        grace_ends_at=grace_ends_at,
    )


def top_up_paused(cause: TopUpPause = TopUpPause.FAILED_TWICE, *, package_id: str = "small") -> TopUpPaused:
    return TopUpPaused(package_id=package_id, cause=cause)


EXAMPLES: dict[str, ToldBillingEvent] = {
    "purchased": purchased(),
    "purchased-dollars": purchased(amount_minor=1_490, currency="usd"),
    "purchased-for-me": purchased(payer_id="bia"),
    "purchased-free": purchased(amount_minor=0),
    "top-up": purchased(source=OrderSource.TOP_UP),
    "voucher": purchased(
        source=OrderSource.VOUCHER, amount_minor=0, package_id=None, expires_at=NOW + timedelta(days=60)
    ),
    "manual": purchased(source=OrderSource.MANUAL, package_id=None),
    "manual-courtesy": purchased(source=OrderSource.MANUAL, amount_minor=0, package_id=None),
    **{f"revoked-{cause}": revoked(cause) for cause in TakenBackFor},
    **{f"restored-{cause}": restored(cause) for cause in TakenBackFor},
    **{f"plan-{change}": subscribed(change) for change in PlanChange},
    "plan-upgraded-free": subscribed(PlanChange.UPGRADED, amount_minor=0),
    "plan-started-free": subscribed(PlanChange.STARTED, amount_minor=0),
    **{f"ended-{cause}": ended(cause) for cause in PlanEnd},
    "payment-failed": payment_failed(),
    "top-up-failed": payment_failed(OrderSource.TOP_UP),
    "renewal-failed-1": renewal_failed(1),
    "renewal-failed-2": renewal_failed(2),
    **{f"paused-{cause}": top_up_paused(cause) for cause in TopUpPause},
}


def notice(data: ToldBillingEvent, *, account_id: str = "ana", event_id: str = "event-1") -> BillingNotice:
    return billing_notice_of(
        CloudEvent(id=event_id, type="any", source="billing", subject=account_id, time=NOW, data=data)
    )


def standing(
    *,
    used: int = 1_000_000,
    limit: int = 1_000_000,
    granted: int = 500_000,
    debt: int = 0,
    exhausted: bool | None = False,
    is_active: bool = True,
) -> Standing:
    figures = Figures(
        monthly_used=used,
        monthly_limit=limit,
        credits=granted,
        debt=debt,
        resets_at=datetime(2026, 12, 1, 3, 0, tzinfo=UTC),
    )
    return Standing(cycle_id="c1", figures=figures, is_active=is_active, exhausted=exhausted, as_of=NOW)


def access_restored(now: Standing) -> Notice:
    return Notice(
        account_id="ana",
        cycle_id="c1",
        kind="access-restored",
        cause="event:1",
        figures=now.figures,
        occurred_at=NOW,
    )


def receipt(data: ToldBillingEvent, now: Standing | None = None, *, works_again: bool = False) -> Receipt:
    """What one event becomes; `now` None: the ledger did not say."""
    others = (access_restored(now or standing()),) if works_again else ()
    return Receipt(lead=notice(data), others=others, standing=now)
