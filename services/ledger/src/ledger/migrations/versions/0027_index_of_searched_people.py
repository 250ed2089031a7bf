"""What is searched of the people that are known already, and the indexes by which people are found and sorted.

Revision ID: 0027
"""

from alembic import op
from chassis.migrations import build_index
from sqlalchemy import text

revision = "0027"
down_revision = "0026"

# A page is a transaction: whoever is met holds up nobody, and a run that was interrupted begins anew.
NEXT_PAGE = """
WITH page AS (
    SELECT account_id FROM ledger.profiles WHERE account_id > :last ORDER BY account_id LIMIT 2000 FOR UPDATE
), noted AS (
    UPDATE ledger.profiles AS profile SET updated_at = updated_at FROM page
    WHERE profile.account_id = page.account_id AND profile.searched IS NULL
)
SELECT max(account_id) FROM page
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        last: str | None = ""
        while last is not None:
            last = op.get_bind().scalar(text(NEXT_PAGE), {"last": last})
    build_index("ledger.profiles_searched", "ledger.profiles USING gin (ledger.trigrams(searched))")
    for column in ("name", "email"):
        build_index(
            f"ledger.profiles_by_{column}",
            f'ledger.profiles ((ledger.plain_letters({column}) COLLATE "C"), account_id) WHERE {column} IS NOT NULL',
        )
    with op.get_context().autocommit_block():
        for index in ("profiles_searched", "profiles_by_name", "profiles_by_email"):
            op.execute(f"ALTER INDEX ledger.{index} ALTER COLUMN 1 SET STATISTICS 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ledger.profiles_by_part")
