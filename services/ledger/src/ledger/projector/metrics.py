"""What operators watch of the projector."""

from typing import Final

from prometheus_client import Counter, Gauge

LAG_EVENTS: Final = Gauge(
    "solaris_projector_lag_events", "Stored events that the projection that is read lacks", ["projection"]
)
LAG_SECONDS: Final = Gauge(
    "solaris_projector_lag_seconds", "Age of the first event that the projection that is read lacks", ["projection"]
)
LEADS: Final = Gauge(
    "solaris_projector_leader", "1 in the process that moves the projection that is read", ["projection"]
)
EVENTS: Final = Counter(
    "solaris_projector_events_total", "Events that were passed, of all types", ["projection", "state"]
)
ERRORS: Final = Counter("solaris_projector_errors_total", "Interruptions of projecting")
STUCK: Final = Gauge("solaris_projector_stuck_tracks", "Tracks that can't be moved past an event, and wait for help")
SNAPSHOTS_MADE: Final = Counter("solaris_projector_snapshots_total", "Snapshots of accounts that were made")
SNAPSHOTS_MISSED: Final = Counter(
    "solaris_projector_snapshots_missed_total", "Snapshots that can't be made of what is stored: see verify"
)
REQUEST_LINES: Final = Counter(
    "solaris_projector_request_lines_total",
    "Lines of the request log by what became of them: stored, repeated, forgotten (of a person who was), undated (of a"
    " day that is dropped, or far ahead), unreadable, not_storable",
    ["outcome"],
)
TOLD_CALLS: Final = Counter(
    "solaris_reconciliation_told_calls_total", "Calls that LiteLLM's callback told, by what became of them", ["result"]
)
RECONCILED_DIFFERENCE: Final = Gauge(
    "solaris_reconciliation_difference_percent",
    "Tokens on which the last reconciliation by time differed",
    ["period", "source"],
)
RECONCILED_COST_DIFFERENCE: Final = Gauge(
    "solaris_reconciliation_cost_difference_percent",
    "Cost on which the last reconciliation by time differed",
    ["period", "source"],
)
RECONCILED_WITHIN: Final = Gauge(
    "solaris_reconciliation_within_threshold",
    "1 where the last reconciliation by time was within it",
    ["period", "source"],
)
RECONCILED_AT: Final = Gauge(
    "solaris_reconciliation_timestamp_seconds", "When the last reconciliation by time was made", ["period", "source"]
)
RECONCILING_FAILURES: Final = Counter(
    "solaris_reconciliation_failures_total", "Reconciliations by time that could not be made"
)
