"""Dead letters go when their time is over, as in the other services.

Revision ID: 0021
"""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.execute("GRANT DELETE ON ledger.dead_letters TO solaris_ledger")
