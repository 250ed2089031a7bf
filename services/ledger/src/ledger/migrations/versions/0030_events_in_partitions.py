"""The log is partitioned by ranges of positions: what stood in it becomes the first part, without being copied.

Revision ID: 0030
"""

from alembic import op

revision = "0030"
down_revision = "0029"

STATEMENTS = (
    # The checked bound makes attaching a matter of the catalog, so others wait for some milliseconds.
    """
    DO $$
    DECLARE
        bound bigint := (SELECT end_position FROM ledger.event_partitions WHERE first_position = 0);
        next bigint;
        granted record;
    BEGIN
        LOCK TABLE ledger.events IN ACCESS EXCLUSIVE MODE;
        SELECT last_value + CASE WHEN is_called THEN 1 ELSE 0 END INTO next FROM ledger.events_position_seq;
        ALTER TABLE ledger.events RENAME TO events_0;
        ALTER TABLE ledger.events_0 ALTER COLUMN position DROP IDENTITY;
        ALTER TABLE ledger.events_0 RENAME CONSTRAINT events_pkey TO events_0_pkey;
        ALTER TABLE ledger.events_0 RENAME CONSTRAINT events_account_id_version_key TO events_0_account_id_version_key;
        CREATE TABLE ledger.events (LIKE ledger.events_0) PARTITION BY RANGE (position);
        ALTER TABLE ledger.events ADD PRIMARY KEY (position);
        EXECUTE format(
            'ALTER TABLE ledger.events ALTER COLUMN position ADD GENERATED ALWAYS AS IDENTITY (START WITH %s CACHE 1)',
            next
        );
        EXECUTE format(
            'ALTER TABLE ledger.events ATTACH PARTITION ledger.events_0 FOR VALUES FROM (MINVALUE) TO (%s)', bound
        );
        ALTER TABLE ledger.events_0 DROP CONSTRAINT below;
        -- Whoever was granted the log, an operator's role for instance, has the same of what it is now.
        FOR granted IN
            SELECT privilege.privilege_type AS right, grantee.rolname AS role
            FROM pg_class AS old, aclexplode(old.relacl) AS privilege
            JOIN pg_roles AS grantee ON grantee.oid = privilege.grantee
            WHERE old.oid = 'ledger.events_0'::regclass AND grantee.oid <> old.relowner
        LOOP
            EXECUTE format('GRANT %s ON ledger.events TO %I', granted.right, granted.role);
            IF granted.right <> 'SELECT' THEN
                EXECUTE format('REVOKE %s ON ledger.events_0 FROM %I', granted.right, granted.role);
            END IF;
        END LOOP;
    END
    $$
    """,
    """
    CREATE TRIGGER history_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.events
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_to_change_history()
    """,
    "ALTER TABLE ledger.events ENABLE ALWAYS TRIGGER history_never_changes",
    # A table of its own first, and attached when it is complete: making it a part at once would keep writers waiting.
    """
    CREATE FUNCTION ledger.make_part_of_events(name text, bounds text) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        EXECUTE format('CREATE TABLE ledger.%I (LIKE ledger.events)', name);
        EXECUTE format('ALTER TABLE ledger.%I ADD PRIMARY KEY (position), ADD UNIQUE (account_id, version)', name);
        EXECUTE format(
            'CREATE TRIGGER history_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.%I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_to_change_history()',
            name
        );
        EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER history_never_changes', name);
        EXECUTE format('ALTER TABLE ledger.events ATTACH PARTITION ledger.%I %s', name, bounds);
    END
    $$
    """,
    "REVOKE ALL ON FUNCTION ledger.make_part_of_events(text, text) FROM public",
    # What no other part is for: an event is never refused for want of a part.
    "SELECT ledger.make_part_of_events('events_beyond', 'DEFAULT')",
    # By the owner's rights, and nothing but this: the ledger's role can make no table. Two at once would make the same.
    """
    CREATE FUNCTION ledger.make_next_part_of_events() RETURNS text LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
    DECLARE
        size CONSTANT bigint := 10000000;
        newest bigint := (SELECT coalesce(max(position), 0) FROM ledger.events);
        first bigint := (SELECT max(end_position) FROM ledger.event_partitions);
        part text;
    BEGIN
        IF newest + 2 * size < first OR NOT pg_try_advisory_xact_lock(7205759403792800) THEN
            RETURN NULL;
        END IF;
        first := (SELECT max(end_position) FROM ledger.event_partitions);
        -- What has gone beyond all parts stays where it is.
        first := greatest(first, ((SELECT coalesce(max(position), 0) FROM ledger.events_beyond) / size + 1) * size);
        part := 'events_' || first;
        PERFORM ledger.make_part_of_events(part, format('FOR VALUES FROM (%s) TO (%s)', first, first + size));
        INSERT INTO ledger.event_partitions (first_position, end_position, name) VALUES (first, first + size, part);
        RETURN part;
    END
    $$
    """,
    "REVOKE ALL ON FUNCTION ledger.make_next_part_of_events() FROM public",
    "GRANT EXECUTE ON FUNCTION ledger.make_next_part_of_events() TO solaris_ledger",
    "GRANT SELECT ON ledger.event_partitions TO solaris_ledger, solaris_projector",
    "SELECT ledger.make_next_part_of_events()",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
