"""Names of streams, durable consumers and subjects; every `<account>` is a `subject_token`."""

from typing import Final

USAGE_STREAM: Final = "USAGE"
LEDGER_STREAM: Final = "LEDGER"
BILLING_STREAM: Final = "BILLING"
REQUESTS_STREAM: Final = "REQUESTS"
DEADLETTER_STREAM: Final = "DEADLETTER"

PUBLISHERS: Final = {"usage": "gateway", "ledger": "ledger", "billing": "billing"}
"""The service that publishes an event, by the first word of the event's name."""

LEDGER_USAGE_CONSUMER: Final = "ledger-usage"
NOTIFIER_LEDGER_CONSUMER: Final = "notifier-ledger"
LEDGER_BILLING_CONSUMER: Final = "ledger-billing"
NOTIFIER_BILLING_CONSUMER: Final = "notifier-billing"
PROJECTOR_BILLING_CONSUMER: Final = "projector-billing"
PROJECTOR_REQUESTS_CONSUMER: Final = "projector-requests"

BALANCE_FALLS: Final = ("ledger.usage_settled", "ledger.reservation_expired")
"""Events after which less is left. Billing hears those of accounts with auto top-up, by plain subscriptions."""

REQUESTS_ENDED: Final = "solaris.requests.ended"
"""Subject on which gateways tell how requests ended, many in a message."""

# Request-reply stands outside the streams' subjects: a stream would answer a request with its PubAck.
RESERVE_PREFIX: Final = "solaris.rpc.ledger.reserve"
RESERVE_AGAIN_PREFIX: Final = "solaris.rpc.ledger.reserve_again"
"""As reserve, but heard by every ledger: for a call that one of them has not answered. The first answer wins."""
READ_BALANCE_PREFIX: Final = "solaris.rpc.ledger.read.balance"
READ_PROFILE_PREFIX: Final = "solaris.rpc.ledger.read.profile"
READ_READY: Final = "solaris.rpc.ledger.read.ready"
LEDGER_QUEUE: Final = "ledger"


def event_subject(name: str, account_token: str) -> str:
    """Subject of an event: `ledger.usage_settled` → `solaris.ledger.usage_settled.<account>`."""
    return f"solaris.{name}.{account_token}"


def dead_letter(service: str, consumer: str) -> str:
    """Subject on which a consumer announces a message that it gave up on."""
    return f"solaris.deadletter.{service}.{consumer}"
