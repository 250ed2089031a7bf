"""Which sentences a receipt asks for, in which language."""

from typing import Protocol, assert_never

from contracts.events.billing import (
    CreditsPurchased,
    PaymentFailed,
    PlanEnded,
    PlanSubscribed,
    PurchaseRestored,
    PurchaseRevoked,
    RenewalFailed,
    TopUpPaused,
)
from language.choice import Language

from notifier.domain.billing_notices import ToldBillingEvent
from notifier.mail import english_plans, english_receipts, portuguese_plans, portuguese_receipts
from notifier.mail.sentences import ReceiptLabels, Situation, Words


class _OrderSpeaker(Protocol):
    """What each language's module about orders has."""

    @property
    def LABELS(self) -> ReceiptLabels: ...  # noqa: N802  a module's constant
    def credits_purchased(self, data: CreditsPurchased, situation: Situation, /) -> Words: ...
    def credits_revoked(self, data: PurchaseRevoked, situation: Situation, /) -> Words: ...
    def credits_restored(self, data: PurchaseRestored, situation: Situation, /) -> Words: ...
    def payment_failed(self, data: PaymentFailed, situation: Situation, /) -> Words: ...
    def top_up_paused(self, data: TopUpPaused, situation: Situation, /) -> Words: ...


class _PlanSpeaker(Protocol):
    """What each language's module about plans has."""

    def plan_subscribed(self, data: PlanSubscribed, situation: Situation, /) -> Words: ...
    def plan_ended(self, data: PlanEnded, situation: Situation, /) -> Words: ...
    def renewal_failed(self, data: RenewalFailed, situation: Situation, /) -> Words: ...


def receipt_labels_of(language: Language) -> ReceiptLabels:
    return _speakers(language)[0].LABELS


def receipt_words_for(data: ToldBillingEvent, language: Language, situation: Situation) -> Words:
    """The mail's sentences; names in `data` are ones that may be shown, or empty."""
    of_orders, of_plans = _speakers(language)
    match data:
        case CreditsPurchased():
            return of_orders.credits_purchased(data, situation)
        case PurchaseRevoked():
            return of_orders.credits_revoked(data, situation)
        case PurchaseRestored():
            return of_orders.credits_restored(data, situation)
        case PlanSubscribed():
            return of_plans.plan_subscribed(data, situation)
        case PlanEnded():
            return of_plans.plan_ended(data, situation)
        case PaymentFailed():
            return of_orders.payment_failed(data, situation)
        case RenewalFailed():
            return of_plans.renewal_failed(data, situation)
        case TopUpPaused():
            return of_orders.top_up_paused(data, situation)
        case _:
            assert_never(data)


def _speakers(language: Language) -> tuple[_OrderSpeaker, _PlanSpeaker]:
    match language:
        case Language.PORTUGUESE:
            return portuguese_receipts, portuguese_plans
        case Language.ENGLISH:
            return english_receipts, english_plans
        case _:
            assert_never(language)
