"""States of accounts as they were at some version, so that not all of a long history is folded for one of its moments.

Revision ID: 0018
"""

from alembic import op

revision = "0018"
down_revision = "0017"

STATEMENTS = (
    """
    CREATE TABLE ledger.snapshots (
        format integer NOT NULL,
        account_id text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        after_version bigint NOT NULL,
        position bigint NOT NULL,
        earliest_at timestamptz NOT NULL,
        hash bytea NOT NULL,
        state json NOT NULL,
        PRIMARY KEY (format, account_id, version)
    )
    """,
    "CREATE INDEX snapshots_by_position ON ledger.snapshots (format, position)",
    "CREATE TABLE ledger.snapshot_progress (format integer PRIMARY KEY, position bigint NOT NULL DEFAULT 0)",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.snapshots, ledger.snapshot_progress TO solaris_projector",
    # Who repairs accounts repairs what was made of them too.
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.snapshots TO solaris_ledger",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
