"""Brings one service's schema up to date: its role, its schema, its Alembic revisions, in one transaction."""

from pathlib import Path
from typing import Final

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from chassis.postgres import CONNECT_TIMEOUT_SECONDS, sqlalchemy_url

STATEMENT_TIMEOUT_SECONDS: Final = 600.0
VERSION_TABLE: Final = "alembic_version"


async def migrate(database_url: str, *, schema: str, role: str, migrations: Path) -> list[str]:
    """Apply what is missing of the revisions under `migrations/versions`; returns the revisions applied.

    Run by the owner of the database. `role` is the service's own, created without login where it is missing; the
    revisions grant it what it needs. Two runs at once are safe: an advisory lock, held until the commit, makes the
    second one wait and find nothing to do. Either all revisions are applied or none.
    """
    engine = create_async_engine(
        sqlalchemy_url(database_url),
        poolclass=NullPool,
        connect_args={"timeout": CONNECT_TIMEOUT_SECONDS, "command_timeout": STATEMENT_TIMEOUT_SECONDS},
    )
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_migrate, schema, role, migrations)
    finally:
        await engine.dispose()


def _migrate(connection: Connection, schema: str, role: str, migrations: Path) -> list[str]:
    # One lock for all services: roles are shared by the whole server, and so is the right to create them.
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('solaris:migrations'))"))
    quote = connection.dialect.identifier_preparer.quote
    known = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).scalar()
    if known is None:
        connection.execute(text(f"CREATE ROLE {quote(role)} NOLOGIN"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}"))
    connection.execute(text(f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(role)}"))
    return _upgrade(connection, schema, migrations)


def _upgrade(connection: Connection, schema: str, migrations: Path) -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    applied: list[str] = []

    def steps(current: object, _: MigrationContext) -> list[RevisionStep]:
        # The steps from the current revision to the heads, as Alembic's own cookbook takes them.
        upgrades = script._upgrade_revs(script.get_heads(), current)  # type: ignore[arg-type]
        applied.extend(step.revision.revision for step in upgrades)
        return list(upgrades)

    with EnvironmentContext(config, script, fn=steps) as environment:
        environment.configure(connection=connection, version_table=VERSION_TABLE, version_table_schema=schema)
        environment.run_migrations()
    return applied
