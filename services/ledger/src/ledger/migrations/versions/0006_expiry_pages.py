"""What is due is read page by page: open holds.

Revision ID: 0006
"""

from chassis.migrations import build_index

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    build_index("ledger.holds_open_page", "ledger.holds (expires_at, account_id, reservation_id) WHERE state = 'open'")
