"""The indexes that the pages replace.

Revision ID: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("DROP INDEX ledger.accounts_due")
    op.execute("DROP INDEX ledger.holds_open")
