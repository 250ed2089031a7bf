"""What is due is read page by page: accounts.

Revision ID: 0005
"""

from chassis.migrations import build_index

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    build_index("ledger.accounts_due_page", "ledger.accounts (due_at, account_id) WHERE due_at IS NOT NULL")
