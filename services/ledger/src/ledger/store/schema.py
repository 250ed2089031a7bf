"""The ledger's SQL statements on the hot path, and what their rows are."""

from itertools import chain
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

APPENDED: Final = {
    "accounts": ("account_ids", "decided_versions", "versions", "heads", "states", "due_ats"),
    "unchanged": ("unchanged_ids", "unchanged_versions"),
    "unseen": ("unseen_accounts", "unseen_ids"),
    "new_holds": ("new_accounts", "new_ids", "new_states", "new_expires_ats", "new_records", "new_reserved_ats"),
    "changed_holds": ("changed_accounts", "changed_ids", "changed_states", "changed_expires_ats", "changed_records"),
    "lots": ("lot_accounts", "lot_ids", "lot_records"),
    "commands": ("command_accounts", "command_ids", "command_hashes", "command_answers"),
    "audit": ("audit_accounts", "audit_ids", "audit_actors", "audit_actions", "audit_reasons", "audit_details"),
    "events": ("event_accounts", "event_versions", "event_ids", "event_types", "recorded_ats", "datas", "hashes"),
}
"""The groups of rows that an append is given, and the function's parameter for each of their columns."""
_PARAMETERS: Final = ("decided_at", "careful", *chain.from_iterable(APPENDED.values()))
_ARGUMENTS: Final = ", ".join(f"{name} => ${number}" for number, name in enumerate(_PARAMETERS, start=1))
APPEND_CURRENT: Final = f"SELECT clock, stale FROM ledger.append_current({_ARGUMENTS})"  # noqa: S608  constants
