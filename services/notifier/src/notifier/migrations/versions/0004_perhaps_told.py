"""Each notice says whether a mail that named it may have been taken, however it ended afterwards."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE notifier.messages ADD COLUMN perhaps_told boolean NOT NULL DEFAULT false")
