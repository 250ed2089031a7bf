"""All events are read once to see that they stand below their bound, while others read and write them.

Revision ID: 0026
"""

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.execute("ALTER TABLE ledger.events VALIDATE CONSTRAINT below")
