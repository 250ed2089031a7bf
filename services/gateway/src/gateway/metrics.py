"""What the gateway counts and measures."""

from collections.abc import Sequence
from typing import Final

from chassis.metrics import LoopHistogram
from prometheus_client import Counter, Gauge, Info

_FAST_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 3)
_ANSWER_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)
_RATIOS: Final = (0.5, 0.8, 0.9, 0.95, 0.99, 1.0, 1.01, 1.05, 1.1, 1.25, 1.5, 2, 5)

ENDED: Final = Counter(
    "solaris_gateway_calls", "Calls that were reserved or forwarded, by their end", ["outcome", "usage_source"]
)
REFUSED: Final = Counter("solaris_gateway_refused", "Calls that were answered without being forwarded", ["code"])
UNMETERED: Final = Counter("solaris_gateway_unmetered", "Calls forwarded without being recorded", ["reason"])
HOLDS: Final = Counter(
    "solaris_gateway_holds",
    "What became of a hold: granted, refused, would_refuse (observing; a body's faults too), unavailable",
    ["outcome", "reason"],
)
FORWARDED_WITHOUT_HOLD: Final = Counter(
    "solaris_gateway_forwarded_without_hold", "Calls that a mode let through without a hold"
)
CALL_SECONDS: Final = LoopHistogram(
    "solaris_gateway_call_seconds", "From a call's arrival to its end", buckets=_ANSWER_SECONDS
)
MODE: Final = Info("solaris_gateway", "Mode and version")
NATS_CONNECTED: Final = Gauge("solaris_gateway_nats_connected", "1 while connected to NATS")
NATS_CONNECTS: Final = Gauge("solaris_gateway_nats_connects", "Connections made to NATS since the start")
LOOP_LAG_SECONDS: Final = Gauge("solaris_gateway_loop_lag_seconds", "The longest wait for the event loop lately")
UNPUBLISHED_SECONDS: Final = Gauge(
    "solaris_gateway_oldest_unpublished_seconds", "Since when usage waits that no stream has acknowledged"
)
UNREADABLE_LINES: Final = Counter("solaris_gateway_journal_unreadable_lines", "Lines of the journal that are no record")
LEFT: Final = Counter("solaris_gateway_clients_left", "Clients that left before anything was sent to them")
UPSTREAM_ANSWERS: Final = Counter(
    "solaris_gateway_upstream_answers",
    "The upstream's answers to calls, by the class of their status",
    ["status_class"],
)
UPSTREAM_FAILURES: Final = Counter(
    "solaris_gateway_upstream_failures", "Calls to which the upstream gave no answer, or not to its end", ["reason"]
)
REQUEST_BYTES: Final = Gauge(
    "solaris_gateway_request_bytes", "Bodies of requests that are being received, or are not sent on yet"
)
OPEN_CALLS: Final = Gauge("solaris_gateway_open_calls", "Calls that are being served")
CLOCK_SKEW: Final = Gauge(
    "solaris_gateway_clock_skew_seconds", "By how much our clock is ahead of the ledger's, as far as that was heard"
)
CONNECTIONS: Final = Gauge("solaris_gateway_connections", "Connections of clients, idle ones included")
EVICTED: Final = Counter(
    "solaris_gateway_evicted_connections", "Connections without a request that were closed to make room"
)
OPEN_STREAMS: Final = Gauge("solaris_gateway_open_streams", "Answers that are being streamed")
RESERVE_SECONDS: Final = LoopHistogram(
    "solaris_gateway_reserve_seconds", "From asking for a hold to its answer", buckets=_FAST_SECONDS
)
FIRST_TOKEN_SECONDS: Final = LoopHistogram(
    "solaris_gateway_first_token_seconds",
    "From the call's arrival to the first byte of its answer",
    buckets=_ANSWER_SECONDS,
)
ESTIMATE_RATIO: Final = LoopHistogram(
    "solaris_gateway_prompt_estimate_ratio",
    "The provider's prompt tokens divided by our estimate of them",
    buckets=_RATIOS,
)
JOURNAL_BACKLOG_BYTES: Final = Gauge(
    "solaris_gateway_journal_backlog_bytes", "Usage on disk that JetStream does not have yet"
)
JOURNAL_WORKING: Final = Gauge("solaris_gateway_journal_working", "1 while usage can be written to disk")
JOURNAL_LOST: Final = Gauge(
    "solaris_gateway_journal_lost_lines", "Usage records lost because the disk refused them for long"
)
PUBLISHED: Final = Counter("solaris_gateway_usage_published", "Usage records that JetStream has acknowledged")
REQUEST_LINES_WAITING: Final = Gauge(
    "solaris_gateway_request_lines_waiting", "Lines of the request log in memory that JetStream does not have yet"
)
REQUEST_LINES_TOLD: Final = Counter(
    "solaris_gateway_request_lines_told", "Lines of the request log that JetStream has acknowledged"
)
REQUEST_LINES_LOST: Final = Counter(
    "solaris_gateway_request_lines_lost", "Lines of the request log that nobody will read", ["reason"]
)
RESENT: Final = Counter("solaris_gateway_usage_resent", "Usage records published again because their stream was lost")


UNKNOWN_FIELDS: Final = Counter(
    "solaris_gateway_unknown_fields_total", "Fields of bodies that no list knows", ["field"]
)
MAX_FIELD_LABELS: Final = 100
_field_labels: set[str] = set()


def count_unknown_fields(names: Sequence[str]) -> None:
    """Count by name the first hundred names, which clients choose, and all others together."""
    for name in names:
        if name not in _field_labels and (len(_field_labels) >= MAX_FIELD_LABELS or len(name) > 64):
            name = "(other)"  # noqa: PLW2901  a label instead of the name
        _field_labels.add(name)
        UNKNOWN_FIELDS.labels(name).inc()
