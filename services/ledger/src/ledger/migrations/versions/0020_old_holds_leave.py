"""The ledger removes old holds, and says up to which time it has.

Revision ID: 0020
"""

from alembic import op

revision = "0020"
down_revision = "0019"

STATEMENTS = (
    "CREATE TABLE ledger.retention (kind text PRIMARY KEY, removed_before timestamptz NOT NULL)",
    "GRANT SELECT, INSERT, UPDATE ON ledger.retention TO solaris_ledger",
    "GRANT DELETE ON ledger.holds TO solaris_ledger",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
