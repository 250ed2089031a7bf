"""`python -m notifier.migrate`: brings the schema up to date, run by the owner of the database."""

import asyncio
from pathlib import Path
from typing import Final

import structlog
from chassis.logging import configure_logging
from chassis.migrations import MigrationError, migrate
from chassis.setting_types import DatabaseUrl
from chassis.settings import ServiceSettings

SCHEMA: Final = "notifier"
ROLE: Final = "solaris_notifier"
MIGRATIONS: Final = Path(__file__).parent / "migrations"

log = structlog.get_logger()


class MigrationSettings(ServiceSettings):
    """`DATABASE_URL` of the owner."""

    database_url: DatabaseUrl


async def migrate_notifier(database_url: str) -> list[str]:
    """Apply what is missing; returns the revisions applied."""
    return await migrate(database_url, schema=SCHEMA, role=ROLE, migrations=MIGRATIONS)


def main() -> None:
    """Migrate and say what was applied."""
    settings = MigrationSettings.load()
    configure_logging("notifier-migrate", settings.log_level)
    try:
        applied = asyncio.run(migrate_notifier(settings.database_url))
    except MigrationError as error:
        raise SystemExit(f"cannot migrate: {error}") from None
    log.info("schema_migrated", schema=SCHEMA, applied=applied)


if __name__ == "__main__":
    main()
