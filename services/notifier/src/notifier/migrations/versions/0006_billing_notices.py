"""Notices of billing stand beside the ledger's, under a status of their own: an older notifier sees none of them."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE notifier.messages
            ADD COLUMN event varchar(64),
            ADD COLUMN details jsonb,
            ALTER COLUMN cycle_id DROP NOT NULL,
            ALTER COLUMN figures DROP NOT NULL,
            ADD CONSTRAINT messages_source_check CHECK (
                CASE WHEN event IS NULL THEN cycle_id IS NOT NULL AND figures IS NOT NULL AND details IS NULL
                     ELSE cycle_id IS NULL AND figures IS NULL AND details IS NOT NULL END
            ),
            DROP CONSTRAINT messages_status_check,
            ADD CONSTRAINT messages_status_check CHECK (
                status IN (
                    'pending', 'pending_alone', 'sent', 'told', 'overtaken', 'stale', 'no_address', 'failed'
                )
            )
    """)
    op.execute("""
        CREATE UNIQUE INDEX messages_of_billing ON notifier.messages (account_id, kind, cause) WHERE event IS NOT NULL
    """)
    # Beside those of the older notifier, which may run for a while yet and asks for 'pending' alone.
    op.execute("""
        CREATE INDEX messages_all_due ON notifier.messages (due_at) WHERE status IN ('pending', 'pending_alone')
    """)
    op.execute("""
        CREATE INDEX messages_all_waiting ON notifier.messages (account_id, created_at, id)
        WHERE status IN ('pending', 'pending_alone')
    """)
