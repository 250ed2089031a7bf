"""An Idempotency-Key is bound to the order that its request came to, also to one that was open already."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE billing.request_keys (
            request_key  varchar(160) PRIMARY KEY,
            request_hash bytea        NOT NULL,
            order_id     varchar(64)  NOT NULL,
            bound_at     timestamptz  NOT NULL
        )
    """)
    op.execute("CREATE INDEX request_keys_bound ON billing.request_keys (bound_at)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON billing.request_keys TO solaris_billing")
