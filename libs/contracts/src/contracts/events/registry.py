"""Which events there are, each by its name."""

from collections.abc import Mapping
from typing import Final

from contracts.events.accounts import (
    AccountOpened,
    CycleCorrected,
    CycleStarted,
    LimitChanged,
    PlanChanged,
    RateLimitsChanged,
    StatusChanged,
    SubscriptionChanged,
    ThresholdsChanged,
)
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
from contracts.events.credits import CreditsExpired, CreditsGranted, CreditsRestored, CreditsRevoked
from contracts.events.notices import AccessRestored, AllowanceExhausted, ThresholdCrossed, TokensExhausted
from contracts.events.reservations import ReservationExpired, ReservationReleased, TokensReserved, UsageSettled
from contracts.events.usage import UsageRecorded

USAGE_RECORDED: Final = "usage.recorded"

LedgerEvent = (
    AccountOpened
    | PlanChanged
    | LimitChanged
    | ThresholdsChanged
    | RateLimitsChanged
    | StatusChanged
    | SubscriptionChanged
    | CycleStarted
    | CycleCorrected
    | TokensReserved
    | ReservationReleased
    | ReservationExpired
    | UsageSettled
    | CreditsGranted
    | CreditsRevoked
    | CreditsRestored
    | CreditsExpired
    | ThresholdCrossed
    | AllowanceExhausted
    | TokensExhausted
    | AccessRestored
)

LEDGER_EVENTS: Final[dict[str, type[LedgerEvent]]] = {
    "ledger.account_opened": AccountOpened,
    "ledger.plan_changed": PlanChanged,
    "ledger.limit_changed": LimitChanged,
    "ledger.thresholds_changed": ThresholdsChanged,
    "ledger.rate_limits_changed": RateLimitsChanged,
    "ledger.status_changed": StatusChanged,
    "ledger.subscription_changed": SubscriptionChanged,
    "ledger.cycle_started": CycleStarted,
    "ledger.cycle_corrected": CycleCorrected,
    "ledger.tokens_reserved": TokensReserved,
    "ledger.reservation_released": ReservationReleased,
    "ledger.reservation_expired": ReservationExpired,
    "ledger.usage_settled": UsageSettled,
    "ledger.credits_granted": CreditsGranted,
    "ledger.credits_revoked": CreditsRevoked,
    "ledger.credits_restored": CreditsRestored,
    "ledger.credits_expired": CreditsExpired,
    "ledger.threshold_crossed": ThresholdCrossed,
    "ledger.allowance_exhausted": AllowanceExhausted,
    "ledger.tokens_exhausted": TokensExhausted,
    "ledger.access_restored": AccessRestored,
}
LEDGER_EVENT_NAMES: Final[dict[type, str]] = {event_type: name for name, event_type in LEDGER_EVENTS.items()}

BillingEvent = (
    CreditsPurchased
    | PurchaseRevoked
    | PurchaseRestored
    | PlanSubscribed
    | PlanEnded
    | PaymentFailed
    | RenewalFailed
    | TopUpPaused
)

BILLING_EVENTS: Final[dict[str, type[BillingEvent]]] = {
    "billing.credits_purchased": CreditsPurchased,
    "billing.credits_revoked": PurchaseRevoked,
    "billing.credits_restored": PurchaseRestored,
    "billing.plan_subscribed": PlanSubscribed,
    "billing.plan_ended": PlanEnded,
    "billing.payment_failed": PaymentFailed,
    "billing.renewal_failed": RenewalFailed,
    "billing.top_up_paused": TopUpPaused,
}
BILLING_EVENT_NAMES: Final[dict[type, str]] = {event_type: name for name, event_type in BILLING_EVENTS.items()}

EVENTS: Final[Mapping[str, type]] = {USAGE_RECORDED: UsageRecorded, **LEDGER_EVENTS, **BILLING_EVENTS}
