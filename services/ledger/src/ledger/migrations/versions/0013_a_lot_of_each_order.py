"""An order's credits are one account's: no second account has a lot of the same order.

Revision ID: 0013
"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    # An exclusion, for the write path takes a violated unique index for an account that somebody else has just opened,
    # and tries again.
    op.execute("""
        ALTER TABLE ledger.lots
            ADD CONSTRAINT lots_of_orders EXCLUDE USING btree (lot_id WITH =) WHERE (lot_id LIKE 'order:%')
    """)
