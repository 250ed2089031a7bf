"""All events are read once to see that they stand below their bound, while others read and write them.

Revision ID: 0027
"""

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.execute("ALTER TABLE ledger.events VALIDATE CONSTRAINT below")
