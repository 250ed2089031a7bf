"""The database that the operator means, looked at before anything is done: it answers, and has the service's tables."""

import contextlib
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import asyncpg

from chassis.operate.errors import BadInputError, RefusedError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

CONNECT_TIMEOUT_SECONDS: Final = 5.0
STATEMENT_TIMEOUT_SECONDS: Final = 10.0


def database_url() -> str:
    """`SOLARIS_DATABASE_URL`, read without the settings class: a quick verb must not load what it does not need."""
    url = os.environ.get("SOLARIS_DATABASE_URL")
    if not url:
        raise BadInputError("SOLARIS_DATABASE_URL is not set")
    return url


@contextlib.asynccontextmanager
async def open_connection(
    service: str, *, statement_timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS
) -> AsyncIterator[asyncpg.Connection]:
    """A connection, ended at once afterwards.

    Raises:
        RefusedError: the database does not answer, or was never migrated.
    """
    try:
        connection = await asyncpg.connect(
            database_url(),
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=statement_timeout_seconds,
            server_settings={"application_name": f"{service}-operate"},
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, OverflowError) as error:
        raise RefusedError(f"the database does not answer: {str(error) or type(error).__name__}") from error
    try:
        if await connection.fetchval("SELECT to_regclass($1) IS NULL", f"{service}.alembic_version"):
            raise RefusedError(f"the database has no {service}; migrate it first")
        yield connection
    finally:
        connection.terminate()


@contextlib.asynccontextmanager
async def open_engine(service: str) -> AsyncIterator["AsyncEngine"]:
    """The same for whoever speaks to the database through SQLAlchemy; raises as `open_connection`."""
    from chassis.postgres import create_engine, disposed  # noqa: PLC0415  verbs that do without it need not wait for it

    async with open_connection(service):
        engine = create_engine(database_url(), service=f"{service}-operate")
    async with disposed(engine):
        yield engine
