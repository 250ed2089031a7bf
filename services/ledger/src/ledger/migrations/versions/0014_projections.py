"""Where projections stand, and the role of what makes them: it reads the log, and makes tables in its own schema alone.

Revision ID: 0014
"""

from alembic import op

revision = "0014"
down_revision = "0013"

STATEMENTS = (
    # A role belongs to the whole server: another database's migration may be creating it just now.
    """
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'solaris_projector') THEN
            CREATE ROLE solaris_projector NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END $$
    """,
    "CREATE SCHEMA projections",
    """
    CREATE TABLE projections.tracks (
        track_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text COLLATE "C" NOT NULL,
        version integer NOT NULL,
        state text COLLATE "C" NOT NULL CHECK (state IN ('building', 'replay', 'live', 'retired')),
        position bigint NOT NULL DEFAULT 0,
        began_at timestamptz NOT NULL DEFAULT now(),
        live_since timestamptz
    ) WITH (fillfactor = 50)
    """,
    "CREATE UNIQUE INDEX tracks_in_use ON projections.tracks (name, state) WHERE state <> 'retired'",
    "GRANT USAGE ON SCHEMA ledger TO solaris_projector",
    "GRANT SELECT ON ledger.events TO solaris_projector",
    "GRANT USAGE, CREATE ON SCHEMA projections TO solaris_projector",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON projections.tracks TO solaris_projector",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
