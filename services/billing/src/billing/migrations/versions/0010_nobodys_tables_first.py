"""What runs by the owner's rights never meets tables and types that its caller made.

Left out of a search path, the caller's temporary schema is searched before all others.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

FUNCTION = "billing.erase_reasons(text)"


def upgrade() -> None:
    op.execute(f"ALTER FUNCTION {FUNCTION} SET search_path = pg_catalog, pg_temp")


def downgrade() -> None:
    op.execute(f"ALTER FUNCTION {FUNCTION} SET search_path = pg_catalog")
