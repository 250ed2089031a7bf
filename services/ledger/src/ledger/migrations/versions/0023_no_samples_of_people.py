"""The database samples no column that names people: what ANALYZE keeps of one outlasts the row.

Revision ID: 0023
"""

from alembic import op

revision = "0023"
down_revision = "0022"

COLUMNS = (
    *(("profiles", name) for name in ("email", "name", "user_id")),
    ("audit", "reason"),
    ("dead_letters", "payload"),
    ("dead_letters", "discard_reason"),
)


def upgrade() -> None:
    for table, column in COLUMNS:
        op.execute(f"ALTER TABLE ledger.{table} ALTER COLUMN {column} SET STATISTICS 0")
        op.execute(f"SELECT pg_clear_attribute_stats('ledger', '{table}', '{column}', false)")
    # Of which a name could be put together again.
    op.execute("ALTER INDEX ledger.profiles_by_part ALTER COLUMN 1 SET STATISTICS 0")
    op.execute("SELECT pg_clear_attribute_stats('ledger', 'profiles_by_part', 'trigrams', false)")
