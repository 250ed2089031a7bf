"""A warning of fraud can be lifted by a person; what billing said long ago may be let go of."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE billing.orders ADD COLUMN is_trusted boolean NOT NULL DEFAULT false")
    op.execute("GRANT DELETE ON billing.outbox TO solaris_billing")
    # What is let go of is found by it, hour after hour.
    op.execute("CREATE INDEX webhook_events_received ON billing.webhook_events (received_at)")
