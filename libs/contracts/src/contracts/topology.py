"""The JetStream topology as data: streams, their limits, and the durable consumers on them.

Postgres is the truth; a stream is transport. Limits are explicit, and nothing can be deleted or purged by a client.
"""

from typing import Final

from msgspec import Struct

from contracts import subjects


class Stream(Struct, frozen=True, kw_only=True):
    """One stream; `max_age_seconds` and `max_bytes` bound it.

    A full one drops its oldest messages, or refuses new ones where `refuse_when_full`: what reads it has no other
    source, and who writes it keeps what is refused.
    """

    name: str
    subjects: tuple[str, ...]
    max_age_seconds: int
    max_bytes: int
    duplicate_window_seconds: int = 120
    max_message_bytes: int = 1024 * 1024
    refuse_when_full: bool = False


class Consumer(Struct, frozen=True, kw_only=True):
    """One durable pull consumer; it redelivers for ever, giving up is the reader's own decision."""

    stream: str
    durable: str
    filter_subjects: tuple[str, ...]
    ack_wait_seconds: int = 60
    max_ack_pending: int = 20_000


_DAY: Final = 24 * 3600
_GIB: Final = 1024**3

STREAMS: Final = (
    Stream(
        name=subjects.USAGE_STREAM,
        subjects=("solaris.usage.>",),
        max_age_seconds=30 * _DAY,
        max_bytes=8 * _GIB,
        refuse_when_full=True,
    ),
    Stream(name=subjects.LEDGER_STREAM, subjects=("solaris.ledger.>",), max_age_seconds=30 * _DAY, max_bytes=16 * _GIB),
    Stream(name=subjects.BILLING_STREAM, subjects=("solaris.billing.>",), max_age_seconds=90 * _DAY, max_bytes=_GIB),
    Stream(
        name=subjects.DEADLETTER_STREAM, subjects=("solaris.deadletter.>",), max_age_seconds=90 * _DAY, max_bytes=_GIB
    ),
)

CONSUMERS: Final = (
    Consumer(
        stream=subjects.USAGE_STREAM,
        durable=subjects.LEDGER_USAGE_CONSUMER,
        filter_subjects=("solaris.usage.recorded.*",),
        # What a killed ledger had fetched comes again after this; a repetition costs a lookup.
        ack_wait_seconds=10,
    ),
    Consumer(
        stream=subjects.LEDGER_STREAM,
        durable=subjects.NOTIFIER_LEDGER_CONSUMER,
        filter_subjects=(
            "solaris.ledger.threshold_crossed.*",
            "solaris.ledger.allowance_exhausted.*",
            "solaris.ledger.tokens_exhausted.*",
            "solaris.ledger.access_restored.*",
        ),
        # What a killed notifier had fetched comes again within the time that notices gather.
        ack_wait_seconds=5,
    ),
)
