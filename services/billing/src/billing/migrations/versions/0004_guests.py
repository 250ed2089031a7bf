"""Orders that were begun with a purchase link are paid by customers of their own."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE billing.orders ADD COLUMN is_guests boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE billing.orders ADD COLUMN customer_id varchar(255)")
