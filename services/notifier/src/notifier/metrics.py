"""What Prometheus reads about the notifier."""

from typing import Final

from prometheus_client import Counter, Gauge

NOTICES_QUEUED: Final = Counter("solaris_notifier_notices_queued", "Notices that events asked for.")
MAILS_SENT: Final = Counter("solaris_notifier_mails_sent", "Mails that the server took, by kind.", ["kind"])
MAIL_FAILURES: Final = Counter(
    "solaris_notifier_mail_failures", "Attempts that failed: ledger, smtp, unexpected; given_up for good.", ["reason"]
)
MAILS_NOT_SENT: Final = Counter(
    "solaris_notifier_mails_not_sent", "Notices that nobody was told: stale, overtaken or no_address.", ["reason"]
)
ROWS_PRUNED: Final = Counter("solaris_notifier_rows_pruned", "Rows deleted after their time, by table.", ["table"])
MAILS_PENDING: Final = Gauge("solaris_notifier_mails_pending", "Mails that wait to be sent.")
OLDEST_PENDING: Final = Gauge("solaris_notifier_oldest_pending_seconds", "Age of the oldest mail that waits.")
