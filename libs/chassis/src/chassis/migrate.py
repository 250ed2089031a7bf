"""`python -m chassis.migrate SERVICE`: brings the service's schema up to date, as the owner of the database."""

import asyncio
import sys

import structlog

from chassis.logging import configure_logging
from chassis.migrations import MigrationError, migrate
from chassis.setting_types import DatabaseUrl
from chassis.settings import ServiceSettings

log = structlog.get_logger()


class MigrationSettings(ServiceSettings):
    """`DATABASE_URL` of the owner."""

    database_url: DatabaseUrl


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m chassis.migrate SERVICE")
    service = sys.argv[1]
    settings = MigrationSettings.load()
    configure_logging(f"{service}-migrate", settings.log_level)
    try:
        applied = asyncio.run(migrate(settings.database_url, service))
    except MigrationError as error:
        raise SystemExit(f"cannot migrate: {error}") from None
    log.info("schema_migrated", schema=service, applied=applied)


if __name__ == "__main__":
    main()
