"""Brings one service's schema up to date beside running services: its role, its schema, its Alembic revisions."""

import asyncio
import contextlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import structlog
from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from chassis import locks
from chassis.backoff import Backoff
from chassis.dead_letters import dead_letters_table
from chassis.inbox import inbox_table
from chassis.postgres import CONNECT_TIMEOUT_SECONDS, DATABASE_ERRORS, sqlalchemy_url

log = structlog.get_logger()

STATEMENT_TIMEOUT_SECONDS: Final = 4 * 3600.0
"""For work, such as an index of a table of years; waiting for others is bounded by the session's settings."""
SESSION_SETTINGS: Final = {
    # Whoever comes after a revision that waits for a table's lock waits too: it lets go, and tries again.
    "lock_timeout": "1s",
    # A run that was frozen in the middle of a transaction gives its locks back.
    "idle_in_transaction_session_timeout": "60s",
}
PATIENCE_SECONDS: Final = 600.0
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 10.0
VERSION_TABLE: Final = "alembic_version"
_RETRIED: Final = ("55P03", "40P01")
"""lock_not_available, deadlock_detected: somebody else was at work, and nothing of this revision was done."""


class MigrationError(Exception):
    """The schema can't be brought up to date; the text says why in one line."""


class NewerSchemaError(MigrationError):
    """The database was migrated by a version of the service that is newer than this one."""


async def migrate(
    database_url: str, service: str, *, folder: Path | None = None, patience_seconds: float = PATIENCE_SECONDS
) -> list[str]:
    """Apply what is missing of the revisions under `migrations/versions` of the service's package, or of `folder`.

    Run by the owner of the database; returns the revisions applied. The schema has the service's name; its role
    `solaris_<service>` is created without login where it is missing, and the revisions grant it what it needs. Each is
    one transaction, tried again while somebody holds a lock that it needs; those before it stay applied if it fails.
    Two runs at once are safe: the second waits for the first.

    Raises:
        NewerSchemaError: the database has a revision that is not among these.
        MigrationError: there are no such revisions, one of them fails, the database does not answer, or others hold
            locks for longer than `patience_seconds`.
    """
    folder = folder or _folder_of(service)
    engine = create_async_engine(
        sqlalchemy_url(database_url),
        poolclass=NullPool,
        connect_args={
            "timeout": CONNECT_TIMEOUT_SECONDS,
            "command_timeout": STATEMENT_TIMEOUT_SECONDS,
            "server_settings": SESSION_SETTINGS | {"application_name": f"{service}-migrate"},
        },
    )
    try:
        connection = await engine.connect()
    except DATABASE_ERRORS as error:
        reason = str(getattr(error, "orig", None) or error) or type(error).__name__
        raise MigrationError(f"the database does not answer: {reason}") from error
    async with contextlib.aclosing(connection):
        await _take_turn(connection, service, patience_seconds)
        steps = _Steps(connection, service, patience_seconds)
        await steps.run(lambda sync: _prepare(sync, service))
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        applied = []
        while (revision := await steps.run(lambda sync: _apply_next(sync, service, config))) is not None:
            applied.append(revision)
        return applied


def build_index(name: str, on: str) -> None:
    """For a revision: CREATE INDEX CONCURRENTLY, which keeps nobody from writing; `name` comes with its schema.

    It ends the revision's transaction, so such a revision has no other statement. What an interrupted run left behind,
    an index that is not valid, is made anew.
    """
    with op.get_context().autocommit_block():
        # It waits for whoever may still see the table without the index, and nobody waits behind it.
        op.execute("SET lock_timeout = 0")
        try:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name.rpartition('.')[2]} ON {on}")
        finally:
            op.execute(f"SET lock_timeout = '{SESSION_SETTINGS['lock_timeout']}'")


def create_consumer_tables(service: str) -> None:
    """For a revision of a service that begins to consume: its inbox and its dead letters, with its role's rights."""
    metadata = MetaData(schema=service)
    inbox_table(metadata)
    dead_letters_table(metadata)
    metadata.create_all(op.get_bind(), checkfirst=False)
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {service}.inbox, {service}.dead_letters TO solaris_{service}")


async def _take_turn(connection: AsyncConnection, schema: str, patience_seconds: float) -> None:
    """Ask again and again: whoever waited inside of a statement would hold up the index that another run builds."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + patience_seconds
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": locks.MIGRATION}):
        await connection.rollback()
        if loop.time() + FIRST_PAUSE_SECONDS > ends_at:
            raise MigrationError(f"{schema}: another migration has been running for {patience_seconds:g} s")
        await asyncio.sleep(FIRST_PAUSE_SECONDS)
    await connection.commit()


class _Steps:
    """Runs steps that are one transaction each, again while others are in their way."""

    def __init__(self, connection: AsyncConnection, schema: str, patience_seconds: float) -> None:
        self._connection = connection
        self._schema = schema
        self._patience_seconds = patience_seconds

    async def run[Result](self, step: Callable[[Connection], Result]) -> Result:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._patience_seconds
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            try:
                return await self._connection.run_sync(step)
            except DBAPIError as error:
                await self._connection.rollback()
                if getattr(error.orig, "sqlstate", None) not in _RETRIED:
                    raise MigrationError(f"{self._schema}: {error.driver_exception}") from error
            if loop.time() + backoff.seconds > ends_at:
                waited = f"{self._patience_seconds:g} s"
                raise MigrationError(f"{self._schema}: others have held a lock that is needed for {waited}")
            log.info("migration_waits", schema=self._schema, seconds=backoff.seconds)
            await backoff.pause()


def _folder_of(service: str) -> Path:
    package = find_spec(service) if service.isidentifier() else None
    folder = Path(package.origin).parent / "migrations" if package is not None and package.origin else None
    if folder is None or not (folder / "versions").is_dir():
        raise MigrationError(f"no service {service} with migrations is installed here")
    return folder


def _prepare(connection: Connection, schema: str) -> None:
    quote, role = connection.dialect.identifier_preparer.quote, f"solaris_{schema}"
    known = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).scalar()
    if known is None:
        # A role belongs to the whole server: another database's migration may be creating it just now.
        already = "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL"
        connection.execute(text(f"DO $$ BEGIN CREATE ROLE {quote(role)} NOLOGIN; {already}; END $$"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}"))
    connection.execute(text(f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(role)}"))
    connection.commit()


def _apply_next(connection: Connection, schema: str, config: Config) -> str | None:
    """The first revision that is missing; None if none is."""
    script = ScriptDirectory.from_config(config)
    applied: list[str] = []

    def next_step(current: tuple[str, ...], _: MigrationContext) -> list[RevisionStep]:
        for revision in current:
            _know(script, schema, revision)
        # The steps from the current revision to the heads, as Alembic's own cookbook takes them.
        upgrades = script._upgrade_revs(script.get_heads(), current)  # type: ignore[arg-type]
        applied.extend(step.revision.revision for step in upgrades[:1])
        return list(upgrades[:1])

    with EnvironmentContext(config, script, fn=next_step) as environment:
        environment.configure(
            connection=connection,
            version_table=VERSION_TABLE,
            version_table_schema=schema,
            transaction_per_migration=True,
        )
        environment.run_migrations()
    connection.commit()
    return applied[0] if applied else None


def _know(script: ScriptDirectory, schema: str, revision: str) -> None:
    try:
        script.get_revision(revision)
    except CommandError:
        raise NewerSchemaError(
            f"the schema {schema} has revision {revision}, which this version does not know: a newer version migrated "
            "it, and an older one must not write to it. Run the newer version"
        ) from None
