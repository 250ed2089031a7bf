"""A schema for readers from outside: who may read it, and what the projector has put there.

Revision ID: 0022
"""

from alembic import op

revision = "0022"
down_revision = "0021"

STATEMENTS = (
    # A role belongs to the whole server: another database's migration may be creating it just now. Its bounds hold
    # where it logs in itself, which the owner allows.
    """
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'solaris_analytics') THEN
            CREATE ROLE solaris_analytics NOLOGIN;
            ALTER ROLE solaris_analytics SET default_transaction_read_only = on;
            ALTER ROLE solaris_analytics SET statement_timeout = '30s';
            ALTER ROLE solaris_analytics SET idle_in_transaction_session_timeout = '30s';
            ALTER ROLE solaris_analytics SET search_path = analytics;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END $$
    """,
    "CREATE SCHEMA analytics",
    "GRANT USAGE ON SCHEMA analytics TO solaris_analytics",
    "GRANT USAGE, CREATE ON SCHEMA analytics TO solaris_projector",
    """
    CREATE TABLE projections.published (
        name text COLLATE "C" PRIMARY KEY,
        version integer NOT NULL,
        digest text NOT NULL
    )
    """,
    "GRANT SELECT, INSERT, UPDATE ON projections.published TO solaris_projector",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
