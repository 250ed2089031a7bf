"""The ledger's database as verbs open it."""

import contextlib
from collections.abc import AsyncIterator

import asyncpg
from chassis.operate.database import STATEMENT_TIMEOUT_SECONDS, open_connection
from chassis.operate.errors import RefusedError
from msgspec import DecodeError

from ledger.store.codec import UnknownEventTypeError


@contextlib.asynccontextmanager
async def open_ledger(
    *, statement_timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS
) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database that has the ledger's tables.

    Raises:
        RefusedError: it does not answer, has none, or holds what can't be read.
    """
    try:
        async with open_connection("ledger", statement_timeout_seconds=statement_timeout_seconds) as connection:
            yield connection
    except (DecodeError, UnknownEventTypeError) as error:
        raise RefusedError(f"what is stored can't be read by this version: {error}; see verify") from error
