"""Which database the operator means, and a first look whether it answers."""

import os
from typing import Final

import asyncpg
from contracts.errors import InvalidError, UnavailableError

from ledger.store.read_path import is_migrated

CONNECT_TIMEOUT_SECONDS: Final = 5.0
STATEMENT_TIMEOUT_SECONDS: Final = 10.0


def database_url() -> str:
    """`SOLARIS_DATABASE_URL`, read without the settings class: a quick command must not load what it does not need."""
    url = os.environ.get("SOLARIS_DATABASE_URL")
    if not url:
        raise InvalidError("SOLARIS_DATABASE_URL is not set")
    return url


async def connect(url: str, *, statement_timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS) -> asyncpg.Connection:
    """Connect to a database that has the ledger's tables.

    Raises:
        UnavailableError: it does not answer, or has none.
    """
    try:
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=statement_timeout_seconds,
            server_settings={"application_name": "ledger-operate"},
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise UnavailableError(f"the database does not answer: {str(error) or type(error).__name__}") from error
    if not await is_migrated(connection):
        connection.terminate()
        raise UnavailableError("the database has no ledger; migrate it first")
    return connection


async def probe(url: str) -> None:
    """Fail at once, and in one line, where the executor would try again for as long as its caller waits."""
    (await connect(url)).terminate()
