"""What people are looked for in stands ready beside their profile, and goes with it; the projector may read names.

Revision ID: 0026
"""

from alembic import op

revision = "0026"
down_revision = "0025"

STATEMENTS = (
    "ALTER TABLE ledger.profiles ADD COLUMN searched text",
    # What is sampled of people outlasts their rows.
    "ALTER TABLE ledger.profiles ALTER COLUMN searched SET STATISTICS 0",
    # A generated column would have the table written anew while nobody may read it.
    """
    CREATE FUNCTION ledger.note_searched() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.searched := ledger.plain_letters(concat_ws(chr(10), NEW.account_id, NEW.email, NEW.name, NEW.user_id));
        RETURN NEW;
    END
    $$
    """,
    """
    CREATE TRIGGER what_is_searched BEFORE INSERT OR UPDATE ON ledger.profiles
    FOR EACH ROW EXECUTE FUNCTION ledger.note_searched()
    """,
    "GRANT SELECT (account_id, email, name) ON ledger.profiles TO solaris_projector",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
