"""Whoever keeps the views for readers may read tags: reports are by department, too.

Revision ID: 0033
"""

from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.execute("GRANT SELECT (tags) ON ledger.profiles TO solaris_projector")
