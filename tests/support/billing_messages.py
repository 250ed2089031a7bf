"""What billing says of orders and subscriptions, with all that a test does not care about filled in."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from chassis.ids import new_uuid7
from contracts.accounts import subject_token
from contracts.envelope import CloudEvent, cloud_event_type
from contracts.events.billing import (
    CreditsPurchased,
    OrderSource,
    PlanChange,
    PlanEnd,
    PlanEnded,
    PlanSubscribed,
    PurchaseRestored,
    PurchaseRevoked,
    TakenBackFor,
)
from contracts.events.registry import BILLING_EVENT_NAMES, BillingEvent
from contracts.subjects import event_subject
from msgspec import Struct
from msgspec.structs import replace

PERIOD: Final = timedelta(days=30)


class Said(Struct, frozen=True):
    """Something that billing says; `name` is the event's."""

    data: BillingEvent

    @property
    def name(self) -> str:
        return BILLING_EVENT_NAMES[type(self.data)]

    def subject(self, account_id: str) -> str:
        return event_subject(self.name, subject_token(account_id))

    def by(self, account_id: str) -> CloudEvent[BillingEvent]:
        """The event about an account, under an id of its own each time that it is told."""
        return CloudEvent(
            id=new_uuid7(),
            type=cloud_event_type(self.name),
            source="solaris/billing",
            subject=account_id,
            time=datetime.now(UTC),
            data=self.data,
        )


def purchased(order_id: str, tokens: int, **fields: Any) -> Said:  # Any: each field has its own type
    data = CreditsPurchased(
        order_id=order_id, tokens=tokens, amount_minor=1_490, currency="usd", source=OrderSource.PACKAGE
    )
    return Said(replace(data, **fields))


def revoked(order_id: str, tokens: int, *, revision: int) -> Said:
    return Said(
        PurchaseRevoked(
            order_id=order_id,
            revision=revision,
            tokens=tokens,
            amount_minor=100,
            currency="usd",
            cause=TakenBackFor.DISPUTE,
            reference="dp_1",
        )
    )


def restored(order_id: str, tokens: int, *, revision: int) -> Said:
    return Said(
        PurchaseRestored(
            order_id=order_id,
            revision=revision,
            tokens=tokens,
            amount_minor=100,
            currency="usd",
            cause=TakenBackFor.DISPUTE,
            reference="dp_1",
        )
    )


def plan_subscribed(
    subscription_id: str, plan: str, *, revision: int, change: PlanChange, period_starts_at: datetime
) -> Said:
    return Said(
        PlanSubscribed(
            subscription_id=subscription_id,
            revision=revision,
            plan=plan,
            change=change,
            period_starts_at=period_starts_at,
            period_ends_at=period_starts_at + PERIOD,
            order_id="order-of-it",
            amount_minor=2_490,
            currency="usd",
        )
    )


def plan_ended(subscription_id: str, plan: str, *, revision: int) -> Said:
    return Said(PlanEnded(subscription_id=subscription_id, revision=revision, plan=plan, cause=PlanEnd.CANCELLED))
