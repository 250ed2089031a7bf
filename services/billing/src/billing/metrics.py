"""What Prometheus reads about billing."""

from typing import Final

from prometheus_client import Counter, Gauge

ORDERS_PLACED: Final = Counter("solaris_billing_orders_placed", "Orders written, by kind.", ["kind"])
ORDER_CHANGES: Final = Counter("solaris_billing_order_changes", "Orders that changed, by what changed.", ["what"])
WEBHOOKS_RECEIVED: Final = Counter(
    "solaris_billing_webhooks_received", "Deliveries of Stripe's: stored, repeated, or why refused.", ["outcome"]
)
WEBHOOKS_HANDLED: Final = Counter(
    "solaris_billing_webhooks_handled",
    "Stored events by what became of them: handled, ignored, given_up, later.",
    ["outcome"],
)
WEBHOOKS_WAITING: Final = Gauge("solaris_billing_webhooks_waiting", "Stored events that are not handled yet.")
OLDEST_WEBHOOK: Final = Gauge("solaris_billing_oldest_webhook_seconds", "Age of the oldest event that waits.")
CLOCK_SKEW: Final = Gauge("solaris_billing_clock_skew_seconds", "By how much our clock is ahead of Stripe's answers.")
PLAN_EVENTS: Final = Counter(
    "solaris_billing_plan_events", "What was said of subscriptions, by the event's name.", ["event"]
)
SUBSCRIPTION_DOUBTS: Final = Counter(
    "solaris_billing_subscription_doubts", "Looks at subscriptions that concluded nothing, by why.", ["reason"]
)
TOP_UP_DECISIONS: Final = Counter(
    "solaris_billing_top_up_decisions", "Looks at accounts with auto top-up, by what was decided.", ["decision"]
)
REDEMPTIONS: Final = Counter("solaris_billing_redemptions", "Codes that were tried, by what came of it.", ["outcome"])
