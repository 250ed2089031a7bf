"""The database samples no column that can name people: what ANALYZE keeps of one outlasts the row."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = (
    ("webhook_events", "payload"),
    ("dead_letters", "payload"),
    ("dead_letters", "discard_reason"),
    ("orders", "reason"),
    ("orders", "session_url"),
    ("orders", "receipt_url"),
    ("order_changes", "why"),
    ("subscription_changes", "why"),
    ("refunds", "reason"),
)


def upgrade() -> None:
    for table, column in COLUMNS:
        op.execute(f"ALTER TABLE billing.{table} ALTER COLUMN {column} SET STATISTICS 0")
        op.execute(f"SELECT pg_clear_attribute_stats('billing', '{table}', '{column}', false)")


def downgrade() -> None:
    for table, column in COLUMNS:
        op.execute(f"ALTER TABLE billing.{table} ALTER COLUMN {column} SET STATISTICS -1")
