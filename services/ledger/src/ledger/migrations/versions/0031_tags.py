"""People have tags, such as a department: found by them, and summed up by them.

Revision ID: 0031
"""

from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.execute("ALTER TABLE ledger.profiles ADD COLUMN tags text[]")
    op.execute("""
        CREATE OR REPLACE FUNCTION ledger.note_searched() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.searched := ledger.plain_letters(concat_ws(
                chr(10), NEW.account_id, NEW.email, NEW.name, NEW.user_id, array_to_string(NEW.tags, chr(10))
            ));
            RETURN NEW;
        END
        $$
    """)
