"""The ledger's SQL statements on the hot path, and what their rows are."""

from typing import Final

READ_BATCH: Final = """
SELECT 0, NULL, NULL, NULL::bytea, NULL, NULL, clock_timestamp()
UNION ALL
SELECT 1, account.account_id, NULL, account.head, account.state::text, NULL, NULL
FROM ledger.accounts AS account WHERE account.account_id = ANY ($1::text[]) AND account.version > 0
UNION ALL
SELECT 2, hold.account_id, hold.reservation_id, NULL, hold.record::text, NULL, NULL
FROM unnest($2::text[], $3::text[]) AS wanted (account_id, reservation_id)
JOIN ledger.holds AS hold USING (account_id, reservation_id)
UNION ALL
SELECT 3, command.account_id, command.command_id, NULL, command.answer::text, command.content_hash, NULL
FROM unnest($4::text[], $5::text[]) AS wanted (account_id, command_id)
JOIN ledger.commands AS command USING (account_id, command_id)
UNION ALL
SELECT 4, lot.account_id, lot.lot_id, NULL, lot.record::text, NULL, NULL
FROM unnest($6::text[], $7::text[]) AS wanted (account_id, lot_id)
JOIN ledger.lots AS lot USING (account_id, lot_id)
"""
"""Of one snapshot, so that an account and its holds belong together: kind, account, id, head, document, hash, clock."""

APPEND_CURRENT: Final = """
SELECT clock, stale FROM ledger.append_current(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
    $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43
)
"""

FACTS_OF_ACCOUNT: Final = """
SELECT version, type, data FROM ledger.events
WHERE account_id = $1 AND version > $2 AND version <= $3 ORDER BY version LIMIT $4
"""
