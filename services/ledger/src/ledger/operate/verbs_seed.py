"""The verb that makes demo accounts."""

from ledger.operate import database
from ledger.operate.output import write_line
from ledger.operate.seed import seed as seed_accounts
from ledger.operate.service import load_settings


async def seed() -> None:
    settings, policy = load_settings()
    connection = await database.connect(settings.database_url)
    try:
        write_line(await seed_accounts(connection, policy))
    finally:
        connection.terminate()
