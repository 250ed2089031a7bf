"""Brings the ledger's schema up to date: `python -m ledger.migrate`, as the database's owner."""

import asyncio
from pathlib import Path

import structlog
from chassis.logging import configure_logging
from chassis.migrations import MigrationError, migrate
from chassis.setting_types import DatabaseUrl
from chassis.settings import ServiceSettings

SCHEMA = "ledger"
ROLE = "solaris_ledger"
MIGRATIONS = Path(__file__).parent / "migrations"

log = structlog.get_logger()


class MigrationSettings(ServiceSettings):
    """`DATABASE_URL` of the owner."""

    database_url: DatabaseUrl


async def migrate_ledger(database_url: str) -> list[str]:
    """Apply what is missing; returns the revisions applied."""
    return await migrate(database_url, schema=SCHEMA, role=ROLE, migrations=MIGRATIONS)


def main() -> None:
    settings = MigrationSettings.load()
    configure_logging("ledger-migrate", settings.log_level)
    try:
        applied = asyncio.run(migrate_ledger(settings.database_url))
    except MigrationError as error:
        raise SystemExit(f"cannot migrate: {error}") from None
    log.info("migrated", schema=SCHEMA, applied=applied)


if __name__ == "__main__":
    main()
