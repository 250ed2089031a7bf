"""What was granted and revoked of each lot, for good: a lot that is used up leaves the account's row.

Revision ID: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0010"

STATEMENTS = (
    """
    CREATE TABLE ledger.lots (
        account_id text COLLATE "C" NOT NULL,
        lot_id text COLLATE "C" NOT NULL,
        record json NOT NULL,
        PRIMARY KEY (account_id, lot_id)
    )
    """,
    # Of lots that were granted twice, which was possible once, the grants are one.
    """
    WITH told AS (
        SELECT account_id, type, version, recorded_at, convert_from(data, 'UTF8')::json -> 'data' AS data
        FROM ledger.events
        WHERE type IN ('solaris.ledger.credits_granted.v1', 'solaris.ledger.credits_revoked.v1')
    ), granted AS (
        SELECT account_id, data ->> 'lot_id' AS lot_id, sum((data ->> 'tokens')::bigint) AS tokens,
            (array_agg(data ORDER BY version))[1] AS data, min(recorded_at) AS granted_at
        FROM told WHERE type = 'solaris.ledger.credits_granted.v1' GROUP BY 1, 2
    ), revoked AS (
        SELECT account_id, data ->> 'lot_id' AS lot_id, sum((data ->> 'tokens')::bigint) AS tokens
        FROM told WHERE type = 'solaris.ledger.credits_revoked.v1' GROUP BY 1, 2
    )
    INSERT INTO ledger.lots (account_id, lot_id, record)
    SELECT granted.account_id, granted.lot_id, json_build_object(
        'lot_id', granted.lot_id,
        'granted_at', to_char(granted.granted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'granted', granted.tokens,
        'revoked', coalesce(revoked.tokens, 0),
        'source', granted.data ->> 'source',
        'reference', granted.data ->> 'reference',
        'expires_at', granted.data -> 'expires_at'
    )
    FROM granted LEFT JOIN revoked USING (account_id, lot_id)
    """,
    "GRANT SELECT, INSERT, UPDATE ON ledger.lots TO solaris_ledger",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
