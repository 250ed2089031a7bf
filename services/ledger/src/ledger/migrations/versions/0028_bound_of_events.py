"""What stands in the log so far gets a bound that it stays below, told before it is checked.

Revision ID: 0028
"""

from alembic import op

revision = "0028"
down_revision = "0027"

STATEMENTS = (
    """
    CREATE TABLE ledger.event_partitions (
        first_position bigint PRIMARY KEY, end_position bigint NOT NULL UNIQUE, name text NOT NULL,
        made_at timestamptz NOT NULL DEFAULT clock_timestamp(), CHECK (first_position < end_position)
    )
    """,
    # Room for at least ten million more, until the next revision but one has made the parts that follow.
    """
    DO $$
    DECLARE
        bound bigint := ((SELECT coalesce(max(position), 0) FROM ledger.events) / 10000000 + 2) * 10000000;
    BEGIN
        EXECUTE format('ALTER TABLE ledger.events ADD CONSTRAINT below CHECK (position < %s) NOT VALID', bound);
        INSERT INTO ledger.event_partitions (first_position, end_position, name) VALUES (0, bound, 'events_0');
    END
    $$
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
