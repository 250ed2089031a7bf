"""The verb that makes demo accounts."""

from typing import Final

from chassis.operate.output import write_line

from ledger.catalog_file import load_policy
from ledger.demo.seed import seed as seed_accounts
from ledger.operate.database import open_ledger
from ledger.operate.settings import load_settings

SEED_TIMEOUT_SECONDS: Final = 60.0
"""For the one statement that appends weeks of events."""


async def seed() -> None:
    """Demo accounts with weeks of plausible usage; accounts that exist are left alone."""
    policy = load_policy(load_settings())
    async with open_ledger(statement_timeout_seconds=SEED_TIMEOUT_SECONDS) as connection:
        write_line(await seed_accounts(connection, policy))
