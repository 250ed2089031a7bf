"""An order whose Pix code or boleto is awaited knows where that is shown."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE billing.orders ADD COLUMN code_url text")
    # It leads to somebody's payment, so that ANALYZE keeps no sample of it.
    op.execute("ALTER TABLE billing.orders ALTER COLUMN code_url SET STATISTICS 0")
