"""The verb that makes demo accounts."""

from typing import Final

from ledger.demo.seed import seed as seed_accounts
from ledger.operate import database
from ledger.operate.output import write_line
from ledger.operate.service import load_settings

SEED_TIMEOUT_SECONDS: Final = 60.0
"""For the one statement that appends weeks of events."""


async def seed() -> None:
    settings, policy = load_settings()
    connection = await database.connect(settings.database_url, statement_timeout_seconds=SEED_TIMEOUT_SECONDS)
    try:
        write_line(await seed_accounts(connection, policy))
    finally:
        connection.terminate()
