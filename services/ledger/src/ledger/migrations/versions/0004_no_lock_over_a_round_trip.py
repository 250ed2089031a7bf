"""No client holds a lock between two of its messages: one statement confirms, writes and commits.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    # Without these a process of an earlier version can't decide anything beside the new ones: it holds locks while it
    # may be frozen, and believes holds that others have ended.
    "DROP FUNCTION ledger.open_batch(text[], text[], text[])",
    """
    DROP FUNCTION ledger.append_batch(
        text[], bigint[], bytea[], json[], timestamptz[],
        text[], text[], text[], timestamptz[], timestamptz[], json[],
        text[], bigint[], uuid[], text[], timestamptz[], bytea[], bytea[]
    )
    """,
    """
    DROP FUNCTION ledger.append_if_current(
        timestamptz, text[], bigint[], text[], text[],
        text[], bigint[], bigint[], bytea[], json[], timestamptz[],
        text[], text[], text[], timestamptz[], json[], timestamptz[],
        text[], text[], text[], timestamptz[], json[],
        text[], bigint[], uuid[], text[], timestamptz[], bytea[], bytea[]
    )
    """,
    # An account is written if its version is the one that it was decided on; accounts are independent, so one that has
    # moved on, or whose row somebody has locked, costs the others nothing. A version confirms the account's holds too,
    # since every change of a hold is an event. Accounts come sorted and are joined in that order, so two processes lock
    # them in one order. The caller's lock_timeout bounds every wait for a row; the log's lock, which everybody holds
    # for one commit, has its own. What goes wrong for all is undone and told as NULL: no error for a server's log.
    """
    CREATE FUNCTION ledger.append_current(
        decided_at timestamptz, careful boolean,
        account_ids text[], decided_versions bigint[], versions bigint[], heads bytea[], states json[],
        due_ats timestamptz[],
        unchanged_ids text[], unchanged_versions bigint[],
        unseen_accounts text[], unseen_ids text[],
        new_accounts text[], new_ids text[], new_states text[], new_expires_ats timestamptz[], new_records json[],
        new_reserved_ats timestamptz[],
        changed_accounts text[], changed_ids text[], changed_states text[], changed_expires_ats timestamptz[],
        changed_records json[],
        lot_accounts text[], lot_ids text[], lot_records json[],
        command_accounts text[], command_ids text[], command_hashes text[], command_answers json[],
        audit_accounts text[], audit_ids uuid[], audit_actors text[], audit_actions text[], audit_reasons text[],
        audit_details json[],
        event_accounts text[], event_versions bigint[], event_ids uuid[], event_types text[],
        recorded_ats timestamptz[], datas bytea[], hashes bytea[],
        OUT clock timestamptz, OUT stale text[]
    )
    LANGUAGE plpgsql AS $$
    DECLARE
        free text[];
        written text[];
    BEGIN
        stale := '{}';
        IF clock_timestamp() - decided_at NOT BETWEEN interval '-1 second' AND interval '1 second' THEN
            RETURN;
        END IF;
        IF cardinality(account_ids) > 0 THEN
            IF 0 = ANY (decided_versions) THEN
                INSERT INTO ledger.accounts (account_id)
                SELECT opened.account_id FROM unnest(account_ids, decided_versions) AS opened (account_id, version)
                WHERE opened.version = 0 ORDER BY opened.account_id ON CONFLICT DO NOTHING;
            END IF;
            IF careful THEN
                SELECT array_agg(unlocked.account_id) INTO free FROM (
                    SELECT account.account_id
                    FROM unnest(account_ids, decided_versions) AS decided (account_id, version)
                    JOIN ledger.accounts AS account
                    ON account.account_id = decided.account_id AND account.version = decided.version
                    FOR UPDATE OF account SKIP LOCKED
                ) AS unlocked;
            ELSE
                free := account_ids;
            END IF;
            WITH updated AS (
                UPDATE ledger.accounts AS account
                SET version = changed.version, head = changed.head, state = changed.state, due_at = changed.due_at
                FROM unnest(account_ids, decided_versions, versions, heads, states, due_ats)
                    AS changed (account_id, decided_version, version, head, state, due_at)
                WHERE account.account_id = changed.account_id AND account.version = changed.decided_version
                    AND (NOT careful OR account.account_id = ANY (free))
                RETURNING account.account_id
            )
            SELECT array_agg(updated.account_id) INTO written FROM updated;
            IF coalesce(cardinality(written), 0) <> cardinality(account_ids) THEN
                stale := ARRAY(
                    SELECT each.account_id FROM unnest(account_ids) AS each (account_id)
                    WHERE written IS NULL OR each.account_id <> ALL (written)
                );
            END IF;
        END IF;
        IF cardinality(unchanged_ids) > 0 THEN
            stale := stale || ARRAY(
                SELECT decided.account_id
                FROM unnest(unchanged_ids, unchanged_versions) AS decided (account_id, version)
                LEFT JOIN ledger.accounts AS account ON account.account_id = decided.account_id
                WHERE coalesce(account.version, 0) <> decided.version
            );
        END IF;
        IF cardinality(unseen_ids) > 0 AND EXISTS (
            SELECT FROM unnest(unseen_accounts, unseen_ids) AS unseen (account_id, reservation_id)
            JOIN ledger.holds AS hold USING (account_id, reservation_id) WHERE unseen.account_id <> ALL (stale)
        ) THEN
            RAISE SQLSTATE 'SL001';
        END IF;
        IF cardinality(new_ids) > 0 THEN
            INSERT INTO ledger.holds (account_id, reservation_id, state, expires_at, record, reserved_at)
            SELECT * FROM unnest(
                new_accounts, new_ids, new_states, new_expires_ats, new_records, new_reserved_ats
            ) AS made (account_id) WHERE made.account_id <> ALL (stale);
        END IF;
        IF cardinality(changed_ids) > 0 THEN
            UPDATE ledger.holds AS hold
            SET state = changed.state, expires_at = changed.expires_at, record = changed.record
            FROM unnest(changed_accounts, changed_ids, changed_states, changed_expires_ats, changed_records)
                AS changed (account_id, reservation_id, state, expires_at, record)
            WHERE hold.account_id = changed.account_id AND hold.reservation_id = changed.reservation_id
                AND changed.account_id <> ALL (stale);
        END IF;
        IF cardinality(lot_ids) > 0 THEN
            INSERT INTO ledger.lots (account_id, lot_id, record)
            SELECT * FROM unnest(lot_accounts, lot_ids, lot_records) AS lot (account_id)
            WHERE lot.account_id <> ALL (stale)
            ON CONFLICT (account_id, lot_id) DO UPDATE SET record = excluded.record;
        END IF;
        IF cardinality(command_ids) > 0 THEN
            INSERT INTO ledger.commands (account_id, command_id, content_hash, answer)
            SELECT * FROM unnest(command_accounts, command_ids, command_hashes, command_answers)
                AS executed (account_id) WHERE executed.account_id <> ALL (stale);
        END IF;
        IF cardinality(audit_ids) > 0 THEN
            INSERT INTO ledger.audit (account_id, id, actor, action, reason, details)
            SELECT * FROM unnest(audit_accounts, audit_ids, audit_actors, audit_actions, audit_reasons, audit_details)
                AS noted (account_id) WHERE noted.account_id <> ALL (stale);
        END IF;
        -- Refusals alone append nothing, and wait for nobody who does.
        IF cardinality(event_ids) > 0 AND written IS NOT NULL THEN
            PERFORM set_config('lock_timeout', '5s', true);
            PERFORM pg_advisory_xact_lock(7205759403792793);
            INSERT INTO ledger.events (account_id, version, id, type, recorded_at, data, hash)
            SELECT * FROM unnest(event_accounts, event_versions, event_ids, event_types, recorded_ats, datas, hashes)
                AS appended (account_id) WHERE appended.account_id <> ALL (stale);
        END IF;
        clock := clock_timestamp();
    EXCEPTION
        WHEN SQLSTATE 'SL001' OR unique_violation OR lock_not_available THEN
            clock := NULL;
            stale := NULL;
    END
    $$
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
