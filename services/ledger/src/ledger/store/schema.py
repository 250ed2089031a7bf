"""The ledger's SQL statements on the hot path, and what their rows are."""

from typing import Final

EXISTING_ACCOUNTS: Final = "SELECT account_id FROM ledger.accounts WHERE account_id = ANY($1::text[])"

INSERT_ACCOUNTS: Final = """
INSERT INTO ledger.accounts (account_id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING
"""

OPEN_BATCH: Final = "SELECT * FROM ledger.open_batch($1, $2, $3)"

READ_COMMANDS: Final = """
SELECT command.account_id, command.command_id, command.content_hash, command.answer
FROM unnest($1::text[], $2::text[]) AS wanted (account_id, command_id)
JOIN ledger.commands AS command USING (account_id, command_id)
"""

INSERT_COMMANDS: Final = """
INSERT INTO ledger.commands (account_id, command_id, content_hash, answer)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::json[])
"""

INSERT_AUDIT: Final = """
INSERT INTO ledger.audit (id, actor, action, account_id, reason, details)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::json[])
"""

APPEND_BATCH: Final = """
SELECT ledger.append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
"""

APPEND_IF_CURRENT: Final = """
SELECT ledger.append_if_current(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
    $26, $27, $28, $29
)
"""
