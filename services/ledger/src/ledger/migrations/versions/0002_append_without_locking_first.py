"""A batch decided on remembered states is confirmed by the very updates that write it.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    # Folders that were made while 0001 had a first form of this function.
    """
    DROP FUNCTION IF EXISTS ledger.append_if_current(
        text[], bigint[], timestamptz, text[], text[],
        text[], bigint[], bytea[], json[], timestamptz[],
        text[], text[], text[], timestamptz[], timestamptz[], json[],
        text[], bigint[], uuid[], text[], timestamptz[], bytea[], bytea[]
    )
    """,
    # Accounts come sorted and are joined in that order, so two processes lock them in one order. An update that waited
    # for somebody else's looks at the version again, and does not happen if it has moved on. Then, or if a hold that
    # was taken to be new exists, the inner block is undone and NULL told: no error that a server's log would keep.
    """
    CREATE FUNCTION ledger.append_if_current(
        decided_at timestamptz,
        unchanged_ids text[], unchanged_versions bigint[], unseen_accounts text[], unseen_ids text[],
        account_ids text[], decided_versions bigint[],
        versions bigint[], heads bytea[], states json[], due_ats timestamptz[],
        new_accounts text[], new_ids text[], new_states text[],
        new_expires_ats timestamptz[], new_records json[], new_reserved_ats timestamptz[],
        changed_accounts text[], changed_ids text[], changed_states text[],
        changed_expires_ats timestamptz[], changed_records json[],
        event_accounts text[], event_versions bigint[], event_ids uuid[], event_types text[],
        recorded_ats timestamptz[], datas bytea[], hashes bytea[]
    ) RETURNS timestamptz
    LANGUAGE plpgsql AS $$
    DECLARE
        updated bigint;
    BEGIN
        IF clock_timestamp() - decided_at NOT BETWEEN interval '-1 second' AND interval '1 second' THEN
            RETURN NULL;
        END IF;
        UPDATE ledger.accounts AS account
        SET version = changed.version, head = changed.head, state = changed.state, due_at = changed.due_at
        FROM unnest(account_ids, decided_versions, versions, heads, states, due_ats)
            AS changed (account_id, decided_version, version, head, state, due_at)
        WHERE account.account_id = changed.account_id AND account.version = changed.decided_version;
        GET DIAGNOSTICS updated = ROW_COUNT;
        IF updated <> cardinality(account_ids) THEN
            RAISE SQLSTATE 'SL001';
        END IF;
        IF cardinality(unchanged_ids) > 0 AND cardinality(unchanged_ids) <> (
            SELECT count(*) FROM unnest(unchanged_ids, unchanged_versions) AS decided (account_id, version)
            JOIN ledger.accounts AS account USING (account_id) WHERE account.version = decided.version
        ) THEN
            RAISE SQLSTATE 'SL001';
        END IF;
        IF cardinality(unseen_ids) > 0 AND EXISTS (
            SELECT FROM unnest(unseen_accounts, unseen_ids) AS unseen (account_id, reservation_id)
            JOIN ledger.holds AS hold USING (account_id, reservation_id)
        ) THEN
            RAISE SQLSTATE 'SL001';
        END IF;
        IF cardinality(new_ids) > 0 THEN
            INSERT INTO ledger.holds (account_id, reservation_id, state, expires_at, record, reserved_at)
            SELECT * FROM unnest(
                new_accounts, new_ids, new_states, new_expires_ats, new_records, new_reserved_ats
            );
        END IF;
        IF cardinality(changed_ids) > 0 THEN
            UPDATE ledger.holds AS hold
            SET state = changed.state, expires_at = changed.expires_at, record = changed.record
            FROM unnest(changed_accounts, changed_ids, changed_states, changed_expires_ats, changed_records)
                AS changed (account_id, reservation_id, state, expires_at, record)
            WHERE hold.account_id = changed.account_id AND hold.reservation_id = changed.reservation_id;
        END IF;
        -- Refusals alone append nothing, and wait for nobody who does.
        IF cardinality(event_ids) > 0 THEN
            PERFORM pg_advisory_xact_lock(7205759403792793);
            INSERT INTO ledger.events (account_id, version, id, type, recorded_at, data, hash)
            SELECT * FROM unnest(event_accounts, event_versions, event_ids, event_types, recorded_ats, datas, hashes);
        END IF;
        RETURN clock_timestamp();
    EXCEPTION
        WHEN SQLSTATE 'SL001' OR unique_violation THEN
            RETURN NULL;
    END
    $$
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
