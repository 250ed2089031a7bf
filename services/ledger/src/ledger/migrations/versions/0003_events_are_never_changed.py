"""Nobody changes or deletes an event, the owner of the table included.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
    CREATE FUNCTION ledger.refuse_to_change_history() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'events are never changed: a wrong one is corrected by a new one'
            USING ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA;
    END
    $$
    """,
    # For the statement, so that it is refused whatever it would have found, and TRUNCATE with it.
    """
    CREATE TRIGGER history_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.events
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_to_change_history()
    """,
    # Also under session_replication_role = replica. The owner can still switch it off, but has to say so: see verify.
    "ALTER TABLE ledger.events ENABLE ALWAYS TRIGGER history_never_changes",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
