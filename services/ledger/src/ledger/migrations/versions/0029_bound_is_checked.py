"""All events are read once to see that they stand below their bound, while others read and write them.

Revision ID: 0029
"""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.execute("ALTER TABLE ledger.events VALIDATE CONSTRAINT below")
