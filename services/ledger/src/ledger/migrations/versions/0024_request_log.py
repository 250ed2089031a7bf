"""The request log, in partitions by day that its writer may have made and dropped, and counts of what was refused.

Revision ID: 0024
"""

from alembic import op

revision = "0024"
down_revision = "0023"

STATEMENTS = (
    "CREATE SCHEMA requests",
    """
    CREATE TABLE requests.log (
        at timestamptz NOT NULL,
        duration_ms bigint NOT NULL,
        first_token_ms bigint,
        estimated_prompt_tokens bigint NOT NULL,
        held_tokens bigint,
        granted_output_tokens bigint,
        prompt_tokens bigint,
        cached_prompt_tokens bigint,
        cache_write_tokens bigint,
        completion_tokens bigint,
        reasoning_tokens bigint,
        available_tokens bigint,
        needed_tokens bigint,
        status smallint NOT NULL,
        client_retries smallint,
        upstream_attempts smallint NOT NULL,
        streamed boolean NOT NULL,
        cached boolean NOT NULL,
        request_id text COLLATE "C" NOT NULL,
        account_id text COLLATE "C" NOT NULL,
        endpoint text COLLATE "C" NOT NULL,
        model text COLLATE "C" NOT NULL,
        ending text COLLATE "C" NOT NULL,
        code text COLLATE "C",
        would_refuse text COLLATE "C",
        outcome text COLLATE "C",
        usage_source text COLLATE "C",
        key_id text COLLATE "C" NOT NULL,
        conversation_id text COLLATE "C",
        client_request_id text COLLATE "C",
        address text COLLATE "C",
        user_agent text COLLATE "C",
        PRIMARY KEY (request_id, at)
    ) PARTITION BY RANGE (at)
    """,
    "CREATE INDEX log_of_account ON requests.log (account_id, at)",
    "CREATE INDEX log_by_code ON requests.log (code, at) WHERE code IS NOT NULL",
    "CREATE INDEX log_of_conversation ON requests.log (conversation_id) WHERE conversation_id IS NOT NULL",
    "CREATE INDEX log_by_clients_id ON requests.log (client_request_id) WHERE client_request_id IS NOT NULL",
    """
    CREATE TABLE requests.bodies (
        at timestamptz NOT NULL,
        request_id text COLLATE "C" NOT NULL,
        account_id text COLLATE "C" NOT NULL,
        request text NOT NULL,
        answer text NOT NULL,
        PRIMARY KEY (request_id, at)
    ) PARTITION BY RANGE (at)
    """,
    "CREATE INDEX bodies_of_account ON requests.bodies (account_id)",
    # What ANALYZE keeps of a column outlasts its rows.
    "ALTER TABLE requests.log ALTER address SET STATISTICS 0, ALTER user_agent SET STATISTICS 0",
    "ALTER TABLE requests.bodies ALTER request SET STATISTICS 0, ALTER answer SET STATISTICS 0",
    """
    CREATE TABLE requests.days (
        parent text COLLATE "C" NOT NULL CHECK (parent IN ('log', 'bodies')),
        day date NOT NULL,
        PRIMARY KEY (parent, day)
    )
    """,
    """
    CREATE TABLE requests.refusals (
        account_id text COLLATE "C" NOT NULL,
        hour timestamptz NOT NULL,
        code text COLLATE "C" NOT NULL,
        refusals bigint NOT NULL,
        PRIMARY KEY (account_id, hour, code)
    )
    """,
    "CREATE INDEX refusals_by_hour ON requests.refusals (hour)",
    # What was told before, and comes only now, is not to be kept either.
    """
    CREATE TABLE requests.forgotten (
        account_id text COLLATE "C" PRIMARY KEY,
        at timestamptz NOT NULL
    )
    """,
    # Partitions belong to the tables' owner, so that who writes them can make and drop days and nothing else. A table
    # that is attached when it is complete lets everybody read and write meanwhile.
    """
    CREATE FUNCTION requests.make_day(parent text, wanted date) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
    DECLARE
        child text := parent || to_char(wanted, '_YYYYMMDD');
        unsampled name;
    BEGIN
        INSERT INTO requests.days VALUES (parent, wanted) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
        EXECUTE format('CREATE TABLE requests.%I (LIKE requests.%I INCLUDING ALL)', child, parent);
        FOR unsampled IN
            SELECT attname FROM pg_attribute
            WHERE attrelid = format('requests.%I', parent)::regclass AND attstattarget = 0
        LOOP
            EXECUTE format('ALTER TABLE requests.%I ALTER %I SET STATISTICS 0', child, unsampled);
        END LOOP;
        EXECUTE format(
            'ALTER TABLE requests.%I ATTACH PARTITION requests.%I FOR VALUES FROM (%L) TO (%L)', parent, child,
            wanted::timestamp AT TIME ZONE 'UTC', (wanted + 1)::timestamp AT TIME ZONE 'UTC'
        );
        RETURN true;
    END $$
    """,
    # Needs its parent for itself for a moment: whoever reads long is waited for no longer than the lock's timeout.
    """
    CREATE FUNCTION requests.drop_day(parent text, unwanted date) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
    BEGIN
        DELETE FROM requests.days AS kept WHERE kept.parent = drop_day.parent AND kept.day = unwanted;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
        EXECUTE format('DROP TABLE requests.%I', parent || to_char(unwanted, '_YYYYMMDD'));
        RETURN true;
    END $$
    """,
    "REVOKE ALL ON FUNCTION requests.make_day(text, date), requests.drop_day(text, date) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION requests.make_day(text, date), requests.drop_day(text, date) TO solaris_projector",
    "GRANT USAGE ON SCHEMA requests TO solaris_projector",
    "GRANT SELECT ON requests.days TO solaris_projector",
    "GRANT SELECT, INSERT, DELETE ON requests.log, requests.bodies TO solaris_projector",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON requests.refusals, requests.forgotten TO solaris_projector",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
