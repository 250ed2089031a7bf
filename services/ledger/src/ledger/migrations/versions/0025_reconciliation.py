"""What others say of the calls: LiteLLM's figures for each, and what comparing them with ours came to.

It is not the log's, so it can't be built from it: a schema of its own beside the projections.

Revision ID: 0025
"""

from alembic import op

revision = "0025"
down_revision = "0024"

STATEMENTS = (
    "CREATE SCHEMA reconciliation",
    # One row an attempt: LiteLLM tells a retried call, or one whose id somebody used again, once for each.
    """
    CREATE TABLE reconciliation.calls (
        source text COLLATE "C" NOT NULL,
        call_id text COLLATE "C" NOT NULL,
        started_at timestamptz NOT NULL,
        ended_at timestamptz NOT NULL,
        account_id text COLLATE "C" NOT NULL,
        model text COLLATE "C" NOT NULL,
        failed boolean NOT NULL,
        cached boolean NOT NULL,
        prompt_tokens bigint NOT NULL,
        completion_tokens bigint NOT NULL,
        cached_prompt_tokens bigint,
        cache_write_tokens bigint,
        reasoning_tokens bigint,
        cost_usd_micros bigint NOT NULL,
        PRIMARY KEY (source, call_id, started_at)
    )
    """,
    "CREATE INDEX calls_by_time ON reconciliation.calls (source, started_at)",
    # How far a day of LiteLLM's own log has been fetched: the next page, or none where all are there.
    """
    CREATE TABLE reconciliation.fetched_days (
        day date PRIMARY KEY,
        next_page integer,
        fetched_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE reconciliation.runs (
        run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        trigger text COLLATE "C" NOT NULL,
        source text COLLATE "C" NOT NULL,
        first_day date NOT NULL,
        last_day date NOT NULL,
        ended_at timestamptz NOT NULL DEFAULT now(),
        threshold_percent double precision NOT NULL,
        difference_percent double precision NOT NULL DEFAULT 0,
        cost_difference_percent double precision NOT NULL DEFAULT 0,
        within_threshold boolean NOT NULL DEFAULT false,
        findings_left_off integer NOT NULL DEFAULT 0,
        sums jsonb NOT NULL DEFAULT '{}'
    )
    """,
    "CREATE UNIQUE INDEX runs_by_time ON reconciliation.runs (trigger, source, first_day, last_day)"
    " WHERE trigger <> 'operator'",
    """
    CREATE TABLE reconciliation.findings (
        run_id bigint NOT NULL REFERENCES reconciliation.runs ON DELETE CASCADE,
        number integer NOT NULL,
        kind text COLLATE "C" NOT NULL,
        reason text COLLATE "C" NOT NULL,
        correctable boolean NOT NULL,
        call_id text COLLATE "C" NOT NULL,
        account_id text COLLATE "C" NOT NULL,
        model text COLLATE "C" NOT NULL,
        day date NOT NULL,
        our_prompt_tokens bigint,
        our_completion_tokens bigint,
        their_prompt_tokens bigint,
        their_completion_tokens bigint,
        our_cost_usd_micros bigint,
        their_cost_usd_micros bigint,
        PRIMARY KEY (run_id, number)
    )
    """,
    "GRANT USAGE ON SCHEMA reconciliation TO solaris_projector",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA reconciliation TO solaris_projector",
    # Our side is sorted by its call ids in a table of the session: it has no place in memory.
    """
    DO $$ BEGIN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO solaris_projector', current_database());
    END $$
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
