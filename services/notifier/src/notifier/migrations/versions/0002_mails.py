"""Messages become mails: which of them go out as one, who is sending to whom, and what may be deleted when."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE notifier.messages
            ADD COLUMN mail_id bigint,
            ADD COLUMN state_checks integer NOT NULL DEFAULT 0,
            DROP CONSTRAINT messages_status_check,
            ADD CONSTRAINT messages_status_check CHECK (
                status IN ('pending', 'sent', 'told', 'overtaken', 'stale', 'no_address', 'failed')
            )
    """)
    op.execute("""
        CREATE TABLE notifier.claims (
            account_id varchar(128) PRIMARY KEY,
            holder     uuid        NOT NULL,
            until      timestamptz NOT NULL
        )
    """)
    # Built the plain way: the notifier alone writes here, and nobody's call waits for it.
    op.execute("""
        CREATE INDEX messages_waiting ON notifier.messages (account_id, created_at, id) WHERE status = 'pending'
    """)
    op.execute("CREATE INDEX messages_failed ON notifier.messages (coalesce(mail_id, id)) WHERE status = 'failed'")
    op.execute("CREATE INDEX messages_finished ON notifier.messages (finished_at) WHERE finished_at IS NOT NULL")
    op.execute("CREATE INDEX inbox_handled ON notifier.inbox (handled_at)")
    op.execute("CREATE INDEX dead_letters_failed ON notifier.dead_letters (failed_at)")
    op.execute("""
        GRANT SELECT, INSERT, UPDATE, DELETE ON notifier.claims TO solaris_notifier
    """)
    op.execute("""
        GRANT DELETE ON notifier.messages, notifier.inbox, notifier.dead_letters TO solaris_notifier
    """)
