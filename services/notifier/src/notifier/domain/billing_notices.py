"""A notice of billing: a payment, a refund or a change of plan that a person is told once, in a mail of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from contracts.envelope import CloudEvent
from contracts.events.billing import (
    CreditsPurchased,
    OrderSource,
    PaymentFailed,
    PlanChange,
    PlanEnded,
    PlanSubscribed,
    PurchaseRestored,
    PurchaseRevoked,
    RenewalFailed,
    TopUpPaused,
)
from contracts.reads import BalanceRequest
from msgspec.structs import replace

LIFETIME: Final = timedelta(days=30)
"""What was paid is worth telling for as long as anybody looks for it; rows outlive this, so no repetition is told."""
SOMEBODY_ELSE: Final = "somebody-else"
"""Stands for whoever paid for another's account: who that is stands in no mail, and is not kept."""

type ToldBillingEvent = (
    CreditsPurchased
    | PurchaseRevoked
    | PurchaseRestored
    | PlanSubscribed
    | PlanEnded
    | PaymentFailed
    | RenewalFailed
    | TopUpPaused
)
"""The data of the events of billing that people are told about: all of them."""


class BillingKind(StrEnum):
    """What a mail about money is, as its header says."""

    CREDITS_PURCHASED = "credits-purchased"
    TOP_UP_DONE = "top-up-done"
    CREDITS_REVOKED = "credits-revoked"
    CREDITS_RESTORED = "credits-restored"
    PLAN_CHANGED = "plan-changed"
    PLAN_RENEWED = "plan-renewed"
    PAYMENT_FAILED = "payment-failed"
    RENEWAL_FAILED = "renewal-failed"
    TOP_UP_PAUSED = "top-up-paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingNotice:
    """One message to one person. Account, kind and cause are its business key: once told, told for ever.

    `cause` names the order, the order and its revision, the subscription and its revision or the day on which its
    grace ends: whatever billing counts. A pause of auto top-up has nothing but its event.
    """

    account_id: str
    kind: str
    cause: str
    data: ToldBillingEvent
    occurred_at: datetime

    @property
    def key(self) -> tuple[str, ...]:
        return self.account_id, "billing", self.kind, self.cause


def billing_notice_of(event: CloudEvent[ToldBillingEvent]) -> BillingNotice:
    """The notice that an event of billing asks for."""
    return BillingNotice(
        account_id=event.subject,
        kind=_kind_of(event.data).value,
        cause=_cause_of(event),
        data=_without_payer(event.data, event.subject),
        occurred_at=event.time,
    )


def _kind_of(data: ToldBillingEvent) -> BillingKind:
    match data:
        case CreditsPurchased(source=OrderSource.TOP_UP):
            return BillingKind.TOP_UP_DONE
        case CreditsPurchased():
            return BillingKind.CREDITS_PURCHASED
        case PurchaseRevoked():
            return BillingKind.CREDITS_REVOKED
        case PurchaseRestored():
            return BillingKind.CREDITS_RESTORED
        case PlanSubscribed(change=PlanChange.RENEWED):
            return BillingKind.PLAN_RENEWED
        case PlanSubscribed() | PlanEnded():
            return BillingKind.PLAN_CHANGED
        case PaymentFailed():
            return BillingKind.PAYMENT_FAILED
        case RenewalFailed():
            return BillingKind.RENEWAL_FAILED
        case TopUpPaused():
            return BillingKind.TOP_UP_PAUSED
        case _:
            assert_never(data)


def _cause_of(event: CloudEvent[ToldBillingEvent]) -> str:
    data, about = event.data, _about(event.data)
    match data:
        case CreditsPurchased() | PaymentFailed():
            return about
        case PurchaseRevoked() | PurchaseRestored() | PlanSubscribed() | PlanEnded():
            return f"{about}:{data.revision}"
        case RenewalFailed():
            return f"{about}:{int(data.grace_ends_at.timestamp())}:{data.reminder}"
        case TopUpPaused():
            return f"event:{event.id}"
        case _:
            assert_never(data)


def _about(data: ToldBillingEvent) -> str:
    """The order or the subscription that an event tells of; nothing for auto top-up, which is neither."""
    match data:
        case PlanSubscribed() | PlanEnded() | RenewalFailed():
            return f"subscription:{data.subscription_id}"
        case CreditsPurchased() | PurchaseRevoked() | PurchaseRestored() | PaymentFailed():
            return f"order:{data.order_id}"
        case TopUpPaused():
            return ""
        case _:
            assert_never(data)


def _without_payer(data: ToldBillingEvent, account_id: str) -> ToldBillingEvent:
    match data:
        case CreditsPurchased() | PlanSubscribed() if data.payer_id is not None:
            return replace(data, payer_id=None if data.payer_id == account_id else SOMEBODY_ELSE)
        case _:
            return data


def is_past(notice: BillingNotice, now: datetime) -> bool:
    """Whether nobody is to be told any more; not after days without a mail server, other than a warning."""
    if isinstance(notice.data, RenewalFailed) and now >= notice.data.grace_ends_at:
        return True  # how that ended is told by a notice of its own
    return now - notice.occurred_at >= LIFETIME


def is_superseded(notice: BillingNotice, others: Sequence[BillingNotice]) -> bool:
    """Whether another notice of the account, told or waiting, makes this one untrue; what tells a payment stays."""
    data = notice.data
    about_the_same = [other for other in others if _about(other.data) == _about(data)]
    match data:
        case PaymentFailed():
            return any(isinstance(other.data, CreditsPurchased) for other in about_the_same)
        case RenewalFailed():
            return any(other.occurred_at > notice.occurred_at for other in about_the_same)
        case PlanEnded() | PlanSubscribed(change=PlanChange.UPGRADED | PlanChange.DOWNGRADED, amount_minor=0):
            return any(
                isinstance(other.data, PlanSubscribed | PlanEnded) and other.data.revision > data.revision
                for other in about_the_same
            )
        case CreditsPurchased() | PurchaseRevoked() | PurchaseRestored() | PlanSubscribed() | TopUpPaused():
            return False
        case _:
            assert_never(data)


def question_about(data: ToldBillingEvent) -> BalanceRequest:
    """Asks the ledger for the balance, and whether that shows the event already."""
    match data:
        case CreditsPurchased() | PurchaseRevoked() | PurchaseRestored():
            return BalanceRequest(order_id=data.order_id)
        case PlanSubscribed() | PlanEnded():
            return BalanceRequest(subscription_id=data.subscription_id)
        case PaymentFailed() | RenewalFailed() | TopUpPaused():
            return BalanceRequest()  # it changes nothing of the balance
        case _:
            assert_never(data)


def is_heard(data: ToldBillingEvent, heard_revision: int | None) -> bool:
    """Whether the balance shows it, by what the ledger says that it has heard of the order or the subscription."""
    match data:
        case CreditsPurchased():
            return heard_revision is not None
        case PurchaseRevoked() | PurchaseRestored() | PlanSubscribed() | PlanEnded():
            return heard_revision is not None and heard_revision >= data.revision
        case PaymentFailed() | RenewalFailed() | TopUpPaused():
            return True
        case _:
            assert_never(data)


def may_reopen(data: ToldBillingEvent) -> bool:
    """Whether this may be what lets a person who was out of tokens go on."""
    match data:
        case CreditsPurchased() | PurchaseRestored():
            return True
        case PlanSubscribed():
            return data.change in {PlanChange.STARTED, PlanChange.RENEWED} or data.amount_minor > 0
        case PurchaseRevoked() | PlanEnded() | PaymentFailed() | RenewalFailed() | TopUpPaused():
            return False
        case _:
            assert_never(data)
