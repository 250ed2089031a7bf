"""Dead letters are announced from their table, whenever NATS can be reached.

Revision ID: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("ALTER TABLE ledger.dead_letters ADD COLUMN announced_at timestamptz")
    op.execute("UPDATE ledger.dead_letters SET announced_at = failed_at")
    op.execute("CREATE INDEX dead_letters_unannounced ON ledger.dead_letters (id) WHERE announced_at IS NULL")
    op.execute("CREATE INDEX dead_letters_waiting ON ledger.dead_letters (id) WHERE retried_at IS NULL")
