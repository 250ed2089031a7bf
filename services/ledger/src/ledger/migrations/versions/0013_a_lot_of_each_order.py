"""An order's credits are one account's: no second account has a lot of the same order.

Revision ID: 0013
"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("CREATE UNIQUE INDEX lots_of_orders ON ledger.lots (lot_id) WHERE lot_id LIKE 'order:%'")
