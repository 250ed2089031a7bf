"""The event log, the accounts that it makes, and what keeps them idempotent.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE ledger.accounts (
        account_id text COLLATE "C" PRIMARY KEY,
        version bigint NOT NULL DEFAULT 0,
        head bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
        state json,
        due_at timestamptz
    ) WITH (fillfactor = 50)
    """,
    "CREATE INDEX accounts_due ON ledger.accounts (due_at) WHERE due_at IS NOT NULL",
    """
    CREATE TABLE ledger.holds (
        account_id text COLLATE "C" NOT NULL,
        reservation_id text COLLATE "C" NOT NULL,
        state text NOT NULL,
        reserved_at timestamptz NOT NULL,
        expires_at timestamptz,
        record json NOT NULL,
        PRIMARY KEY (account_id, reservation_id)
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX holds_open ON ledger.holds (expires_at) WHERE state = 'open'",
    """
    CREATE TABLE ledger.events (
        position bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
        account_id text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        id uuid NOT NULL,
        type text COLLATE "C" NOT NULL,
        recorded_at timestamptz NOT NULL,
        data bytea NOT NULL,
        hash bytea NOT NULL,
        UNIQUE (account_id, version)
    )
    """,
    """
    CREATE TABLE ledger.commands (
        account_id text COLLATE "C" NOT NULL,
        command_id text COLLATE "C" NOT NULL,
        content_hash text NOT NULL,
        answer json NOT NULL,
        executed_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (account_id, command_id)
    )
    """,
    """
    CREATE TABLE ledger.audit (
        id uuid PRIMARY KEY,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        actor text NOT NULL,
        action text NOT NULL,
        account_id text COLLATE "C" NOT NULL,
        reason text NOT NULL,
        details json NOT NULL
    )
    """,
    "CREATE INDEX audit_by_account ON ledger.audit (account_id, recorded_at)",
    """
    CREATE TABLE ledger.profiles (
        account_id text COLLATE "C" PRIMARY KEY,
        email text,
        name text,
        locale text,
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE TABLE ledger.relay (name text PRIMARY KEY, position bigint NOT NULL)",
    """
    CREATE TABLE ledger.dead_letters (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        consumer varchar(64) NOT NULL,
        message_id varchar(128) NOT NULL,
        subject text NOT NULL,
        payload bytea NOT NULL,
        reason text NOT NULL,
        failed_at timestamptz NOT NULL DEFAULT now(),
        retried_at timestamptz,
        UNIQUE (consumer, message_id)
    )
    """,
    # Two round trips a batch instead of seven. Every statement inside has a snapshot of its own (READ COMMITTED), so
    # the holds are read after the account rows are locked.
    """
    CREATE FUNCTION ledger.open_batch(account_ids text[], hold_accounts text[], hold_ids text[])
    RETURNS TABLE (
        account_id text, reservation_id text, version bigint, head bytea, document json, clock timestamptz
    )
    LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    BEGIN
        RETURN QUERY
            SELECT account.account_id, NULL::text, account.version, account.head, account.state, clock_timestamp()
            FROM ledger.accounts AS account
            WHERE account.account_id = ANY (account_ids) ORDER BY account.account_id FOR UPDATE;
        RETURN QUERY
            SELECT hold.account_id, hold.reservation_id, NULL::bigint, NULL::bytea, hold.record, NULL::timestamptz
            FROM unnest(hold_accounts, hold_ids) AS wanted (account_id, reservation_id)
            JOIN ledger.holds AS hold USING (account_id, reservation_id);
    END
    $$
    """,
    # The advisory lock comes last but for the insert, and nothing waits for a row after it: position order is commit
    # order, so a reader that remembers a position never skips a late commit.
    """
    CREATE FUNCTION ledger.append_batch(
        account_ids text[], versions bigint[], heads bytea[], states json[], due_ats timestamptz[],
        hold_accounts text[], hold_ids text[], hold_states text[], reserved_ats timestamptz[],
        expires_ats timestamptz[], records json[],
        event_accounts text[], event_versions bigint[], event_ids uuid[], event_types text[],
        recorded_ats timestamptz[], datas bytea[], hashes bytea[]
    ) RETURNS void
    LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE ledger.accounts AS account
        SET version = changed.version, head = changed.head, state = changed.state, due_at = changed.due_at
        FROM unnest(account_ids, versions, heads, states, due_ats)
            AS changed (account_id, version, head, state, due_at)
        WHERE account.account_id = changed.account_id;
        INSERT INTO ledger.holds (account_id, reservation_id, state, reserved_at, expires_at, record)
        SELECT * FROM unnest(hold_accounts, hold_ids, hold_states, reserved_ats, expires_ats, records)
        ON CONFLICT (account_id, reservation_id) DO UPDATE
        SET state = excluded.state, expires_at = excluded.expires_at, record = excluded.record;
        PERFORM pg_advisory_xact_lock(7205759403792793);
        INSERT INTO ledger.events (account_id, version, id, type, recorded_at, data, hash)
        SELECT * FROM unnest(event_accounts, event_versions, event_ids, event_types, recorded_ats, datas, hashes);
    END
    $$
    """,
    # The service appends to the log and to the audit; nobody but the owner could change either.
    "GRANT SELECT, INSERT ON ledger.events, ledger.commands, ledger.audit TO solaris_ledger",
    "GRANT SELECT, INSERT, UPDATE ON ledger.accounts, ledger.holds, ledger.profiles, ledger.relay TO solaris_ledger",
    "GRANT SELECT, INSERT, UPDATE ON ledger.dead_letters TO solaris_ledger",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
