"""What operators watch of the ledger."""

from functools import cache
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

COMMANDS: Final = Counter("solaris_ledger_commands_total", "Commands answered", ["kind", "outcome"])
BATCH_SIZE: Final = Histogram(
    "solaris_ledger_batch_size", "Commands in one commit", buckets=(1, 2, 4, 8, 16, 32, 64, 96, 128)
)
COMMIT_SECONDS: Final = Histogram(
    "solaris_ledger_commit_seconds",
    "One batch from its decision to its commit",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
QUEUE_DEPTH: Final = Gauge("solaris_ledger_queue_depth", "Commands that wait", ["kind"])
MEMORY_MISSES: Final = Counter(
    "solaris_ledger_memory_misses_total", "Commands whose account had moved on from what was remembered of it"
)
RERUNS: Final = Counter(
    "solaris_ledger_reruns_total", "Batches run again: the database failed or its answer is unknown"
)
OUTDATED: Final = Counter(
    "solaris_ledger_outdated_states_total", "States of an earlier format that were folded anew from the log"
)
UNREADABLE: Final = Counter(
    "solaris_ledger_unreadable_accounts_total", "Commands refused since what is stored of their account can't be read"
)
DEBT_TOKENS: Final = Counter("solaris_ledger_debt_tokens_total", "Tokens charged beyond balance: estimate errors")
UNOWED_TOKENS: Final = Counter(
    "solaris_ledger_unowed_tokens_total", "Tokens beyond balance that a mode without enforcement let through"
)
DEAD_LETTERS: Final = Counter("solaris_ledger_dead_letters_total", "Messages given up on")
USAGE_PASSED: Final = Gauge("solaris_ledger_usage_passed_timestamp_seconds", "All usage up to this time is decided")
CLOCK_JUMP: Final = Gauge(
    "solaris_ledger_clock_jump_seconds", "By how much the database's clock is ahead of what is believed; 0 is right"
)
SWEEPER_BACKLOG: Final = Gauge("solaris_ledger_sweeper_backlog", "Due accounts and holds that the last page found")
OVERDUE_HOLD_SECONDS: Final = Gauge(
    "solaris_ledger_oldest_overdue_hold_seconds", "How long the oldest open hold is past its end; 0 without one"
)
REFUSED: Final = Counter("solaris_ledger_refused_total", "Reserves refused", ["code"])
UNRESERVED: Final = Counter("solaris_ledger_unreserved_usage_total", "Settlements of calls without a hold")
CORRECTIONS: Final = Counter("solaris_ledger_corrections_total", "Settlements that corrected an expired hold")
UNKNOWN_PLAN: Final = Counter(
    "solaris_ledger_unknown_plan_reserves_total", "Reserves of accounts whose plan is not in the catalog"
)
UNPRICED: Final = Counter("solaris_ledger_unpriced_usage_total", "Settlements of models without a price")
STREAM_PENDING: Final = Gauge("solaris_ledger_usage_pending", "Usage in the stream that is not decided yet")
CHECKPOINT_MADE: Final = Gauge(
    "solaris_ledger_checkpoint_timestamp_seconds", "When the latest checkpoint was made; 0 until it is known"
)
CHECKPOINT_FAILURES: Final = Counter(
    "solaris_ledger_checkpoint_failures_total", "Checkpoints that could not be made, or that the log contradicts"
)
ROWS_PRUNED: Final = Counter(
    "solaris_ledger_rows_pruned_total", "Dead letters deleted and profiles erased after their time, by table", ["table"]
)
EXPIRED: Final = Counter("solaris_ledger_expired_holds_total", "Holds charged because no usage came")
HOLDS_REMOVED: Final = Counter("solaris_ledger_removed_holds_total", "Holds that have left, too old to be asked for")


@cache
def _commands(kind: str, outcome: str) -> Counter:
    return COMMANDS.labels(kind, outcome)


def count_command(kind: str, outcome: str) -> None:
    """Count an answered command; `outcome` is the answer's or the error's type."""
    _commands(kind, outcome).inc()
