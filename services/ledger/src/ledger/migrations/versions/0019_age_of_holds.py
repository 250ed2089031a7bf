"""Holds that are old enough to leave are found by their age.

Revision ID: 0019
"""

from chassis.migrations import build_index

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    build_index("ledger.holds_by_age", "ledger.holds (reserved_at)")
