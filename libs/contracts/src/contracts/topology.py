"""The JetStream topology as data: streams, their limits, and the durable consumers on them.

Postgres is the truth; a stream is transport. Limits are explicit, and nothing can be deleted or purged by a client. All
is in JetStream's own words, times in nanoseconds: as it stands here it is handed to JetStream.
"""

from typing import Final, Literal

from msgspec import Struct

from contracts import subjects

SECOND: Final = 10**9
_DAY: Final = 24 * 3600 * SECOND
_GIB: Final = 1024**3


class Stream(Struct, frozen=True, kw_only=True):
    """One stream; `max_age` and `max_bytes` bound it.

    A full one drops its oldest messages, or refuses new ones (`discard`): what reads it has no other source, and who
    writes it keeps what is refused.
    """

    name: str
    subjects: tuple[str, ...]
    max_age: int
    max_bytes: int
    discard: Literal["old", "new"] = "old"
    duplicate_window: int = 120 * SECOND
    max_msg_size: int = 1024 * 1024
    retention: str = "limits"
    storage: str = "file"
    deny_delete: bool = True
    deny_purge: bool = True
    allow_atomic: bool = True
    allow_direct: bool = True


class Consumer(Struct, frozen=True, kw_only=True):
    """One durable pull consumer; it redelivers for ever, giving up is the reader's own decision."""

    stream: str
    durable_name: str
    filter_subjects: tuple[str, ...]
    ack_wait: int = 60 * SECOND
    max_ack_pending: int = 20_000
    max_deliver: int = -1
    deliver_policy: str = "all"
    ack_policy: str = "explicit"


STREAMS: Final = (
    Stream(
        name=subjects.USAGE_STREAM,
        subjects=("solaris.usage.>",),
        max_age=30 * _DAY,
        max_bytes=8 * _GIB,
        discard="new",
    ),
    Stream(name=subjects.LEDGER_STREAM, subjects=("solaris.ledger.>",), max_age=30 * _DAY, max_bytes=16 * _GIB),
    Stream(name=subjects.BILLING_STREAM, subjects=("solaris.billing.>",), max_age=90 * _DAY, max_bytes=_GIB),
    Stream(
        name=subjects.REQUESTS_STREAM,
        subjects=("solaris.requests.>",),
        max_age=7 * _DAY,
        max_bytes=2 * _GIB,
        # Personal: what is stored in Postgres is kept here no longer.
        retention="workqueue",
        # What a gateway is refused it counts as lost; what is dropped here would be missed by nobody.
        discard="new",
    ),
    Stream(name=subjects.DEADLETTER_STREAM, subjects=("solaris.deadletter.>",), max_age=90 * _DAY, max_bytes=_GIB),
)

CONSUMERS: Final = (
    Consumer(
        stream=subjects.USAGE_STREAM,
        durable_name=subjects.LEDGER_USAGE_CONSUMER,
        filter_subjects=("solaris.usage.recorded.*",),
        # What a killed ledger had fetched comes again after this; a repetition costs a lookup.
        ack_wait=10 * SECOND,
    ),
    Consumer(
        stream=subjects.LEDGER_STREAM,
        durable_name=subjects.NOTIFIER_LEDGER_CONSUMER,
        filter_subjects=(
            "solaris.ledger.threshold_crossed.*",
            "solaris.ledger.allowance_exhausted.*",
            "solaris.ledger.tokens_exhausted.*",
            "solaris.ledger.access_restored.*",
        ),
        # What a killed notifier had fetched comes again within the time that notices gather.
        ack_wait=5 * SECOND,
    ),
    Consumer(
        stream=subjects.BILLING_STREAM,
        durable_name=subjects.LEDGER_BILLING_CONSUMER,
        filter_subjects=(
            "solaris.billing.credits_purchased.*",
            "solaris.billing.credits_revoked.*",
            "solaris.billing.credits_restored.*",
            "solaris.billing.plan_subscribed.*",
            "solaris.billing.plan_ended.*",
        ),
        ack_wait=5 * SECOND,
    ),
    Consumer(
        stream=subjects.BILLING_STREAM,
        durable_name=subjects.NOTIFIER_BILLING_CONSUMER,
        filter_subjects=(
            "solaris.billing.credits_purchased.*",
            "solaris.billing.credits_revoked.*",
            "solaris.billing.credits_restored.*",
            "solaris.billing.plan_subscribed.*",
            "solaris.billing.plan_ended.*",
            "solaris.billing.payment_failed.*",
            "solaris.billing.renewal_failed.*",
            "solaris.billing.top_up_paused.*",
        ),
        ack_wait=5 * SECOND,
    ),
    Consumer(
        stream=subjects.BILLING_STREAM,
        durable_name=subjects.PROJECTOR_BILLING_CONSUMER,
        # Whatever says that money came, went back or was disputed.
        filter_subjects=(
            "solaris.billing.credits_purchased.*",
            "solaris.billing.credits_revoked.*",
            "solaris.billing.credits_restored.*",
            "solaris.billing.plan_subscribed.*",
        ),
        ack_wait=5 * SECOND,
    ),
    Consumer(
        stream=subjects.REQUESTS_STREAM,
        durable_name=subjects.PROJECTOR_REQUESTS_CONSUMER,
        filter_subjects=(subjects.REQUESTS_ENDED,),
        ack_wait=30 * SECOND,
    ),
)
