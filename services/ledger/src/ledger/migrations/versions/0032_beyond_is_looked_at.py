"""The ledger may see whether events went beyond all parts of the log: it tells of it.

Revision ID: 0032
"""

from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.execute("GRANT SELECT ON ledger.events_beyond TO solaris_ledger")
