"""Dead letters are announced from their table, and a message has one: what a mail was given up for last."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE notifier.dead_letters ADD COLUMN announced_at timestamptz")
    op.execute("UPDATE notifier.dead_letters SET announced_at = failed_at")
    op.execute("""
        DELETE FROM notifier.dead_letters AS earlier USING notifier.dead_letters AS later
        WHERE earlier.consumer = later.consumer AND earlier.message_id = later.message_id AND earlier.id < later.id
    """)
    op.execute("ALTER TABLE notifier.dead_letters ADD UNIQUE (consumer, message_id)")
    op.execute("CREATE INDEX dead_letters_unannounced ON notifier.dead_letters (id) WHERE announced_at IS NULL")
    op.execute("ALTER INDEX notifier.dead_letters_open RENAME TO dead_letters_waiting")
