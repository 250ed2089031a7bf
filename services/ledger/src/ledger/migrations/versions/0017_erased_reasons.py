"""What was typed about a person goes with them: who did what, when and with what figures stays in the audit.

Revision ID: 0017
"""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    # The audit stays closed to changes but for these words.
    op.execute("""
        CREATE FUNCTION ledger.erase_reasons(erased_account text) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
            WITH erased AS (
                UPDATE ledger.audit SET reason = '[erased]'
                WHERE account_id = erased_account AND action <> 'forget' AND reason NOT IN ('', '[erased]')
                RETURNING 1
            )
            SELECT count(*) FROM erased
        $$
    """)
    op.execute("REVOKE ALL ON FUNCTION ledger.erase_reasons(text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION ledger.erase_reasons(text) TO solaris_ledger")
