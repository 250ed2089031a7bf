"""Money as billing tells of it, which no log of the ledger has; and where what can't be read of that is kept.

Revision ID: 0016
"""

from alembic import op

revision = "0016"
down_revision = "0015"

STATEMENTS = (
    "CREATE SCHEMA revenue",
    """
    CREATE TABLE revenue.movements (
        key text COLLATE "C" PRIMARY KEY,
        account_id text COLLATE "C" NOT NULL,
        order_id text COLLATE "C" NOT NULL,
        kind text COLLATE "C" NOT NULL CHECK (kind IN ('paid', 'refunded', 'disputed')),
        amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
        currency text COLLATE "C" NOT NULL,
        moved_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX movements_by_time ON revenue.movements (moved_at)",
    "CREATE INDEX movements_by_account ON revenue.movements (account_id, moved_at)",
    "GRANT USAGE ON SCHEMA revenue TO solaris_projector",
    "GRANT SELECT, INSERT ON revenue.movements TO solaris_projector",
    # Those of the projector's consumers stand with the ledger's, whose verbs list and retry them.
    "GRANT SELECT, INSERT, UPDATE ON ledger.dead_letters TO solaris_projector",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
