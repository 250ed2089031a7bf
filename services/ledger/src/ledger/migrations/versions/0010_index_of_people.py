"""The index by which people are found.

Revision ID: 0010
"""

from chassis.migrations import build_index

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    build_index(
        "ledger.profiles_by_part", "ledger.profiles USING gin (ledger.trigrams(ledger.searched(email, name, user_id)))"
    )
