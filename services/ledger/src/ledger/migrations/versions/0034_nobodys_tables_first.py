"""What runs by the owner's rights never meets tables and types that its caller made; tags are not sampled.

Revision ID: 0034
"""

from alembic import op

revision = "0034"
down_revision = "0033"

STATEMENTS = (
    # Left out of a search path, the caller's temporary schema is searched before all others.
    *(
        f"ALTER FUNCTION {function} SET search_path = pg_catalog, pg_temp"
        for function in (
            "ledger.erase_reasons(text)",
            "requests.make_day(text, date)",
            "requests.drop_day(text, date)",
        )
    ),
    # What ANALYZE keeps of a column outlasts its rows.
    "ALTER TABLE ledger.profiles ALTER COLUMN tags SET STATISTICS 0",
    "SELECT pg_clear_attribute_stats('ledger', 'profiles', 'tags', false)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
