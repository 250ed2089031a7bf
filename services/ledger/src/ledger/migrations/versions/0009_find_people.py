"""What operators look people up by: name, e-mail, and the id that a pseudonym stands for.

Revision ID: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"

# In plpgsql, since a function in SQL is put in its place by the planner, and then no index is of it.
STATEMENTS = (
    "ALTER TABLE ledger.profiles ADD COLUMN user_id text",
    # Small letters without accents, so that "joao" finds "JOÃO".
    r"""
    CREATE FUNCTION ledger.plain_letters(written text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    BEGIN
        RETURN regexp_replace(lower(normalize(written, NFKD)), '[\u0300-\u036f]', '', 'g');
    END
    $$
    """,
    """
    CREATE FUNCTION ledger.searched(email text, name text, user_id text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    BEGIN
        RETURN ledger.plain_letters(concat_ws(chr(10), email, name, user_id));
    END
    $$
    """,
    # Every three letters that stand together: an index of these arrays finds a part of a text.
    """
    CREATE FUNCTION ledger.trigrams(searched text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    BEGIN
        RETURN ARRAY(SELECT DISTINCT substr(searched, start, 3) FROM generate_series(1, length(searched) - 2) AS start);
    END
    $$
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
