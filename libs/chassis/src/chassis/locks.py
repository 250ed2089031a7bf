"""The numbers of all advisory locks, in one place: they are one space for the whole database, whoever takes them."""

from typing import Final

MIGRATION: Final = 7205759403792790
"""Of a session: whoever migrates a database, whichever service it is."""
APPEND: Final = 7205759403792793
"""Of a transaction: whoever appends events. It stands as a number in the SQL functions that take it."""
RELAY: Final = 7205759403792794
"""Of a session: the one process that publishes appended events."""
BILLING_APPEND: Final = 7205759403792795
"""Of a transaction: whoever appends to billing's outbox."""
BILLING_RELAY: Final = 7205759403792796
"""Of a session: the one process that publishes billing's outbox."""
CHECKPOINT: Final = 7205759403792797
"""Of a session: the one process that makes a checkpoint of the log; were there two, one would find its number taken."""
SNAPSHOTS: Final = 7205759403792798
"""Of a session: the one process that keeps snapshots of accounts; were there two, they would keep the same."""
RECONCILIATION: Final = 7205759403792799
"""Of a session: the one process that compares other sides' figures with the log's when it is time to."""
LOG_PART: Final = 7205759403792800
"""Of a transaction: whoever makes the next part of the log. It stands as a number in the SQL function that takes it."""
PROJECTION_TRACK: Final = 72057
"""Of a session, and the first of two numbers: the one process that leads the track whose number is the second."""
