"""That a person was forgotten is known, so that nothing that was under way then brings them back.

Revision ID: 0015
"""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute("ALTER TABLE ledger.profiles ADD COLUMN forgotten_at timestamptz")
