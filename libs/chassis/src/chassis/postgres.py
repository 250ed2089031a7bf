"""Connections to Postgres: an asyncpg pool for hot paths, a SQLAlchemy engine for the rest."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

COMMAND_TIMEOUT_SECONDS = 10.0
CONNECT_TIMEOUT_SECONDS = 5.0
CLOSE_SECONDS = 2.0
FROZEN_SECONDS: Final = 10
DATABASE_ERRORS: Final = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # Raised by a statement on a connection that the server ended a moment before.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""All that a statement can raise; while connecting, SQLAlchemy lets the driver's own errors through."""


def refuses_the_data(error: Exception) -> bool:
    """Whether Postgres refused the values themselves (SQLSTATE 22, 23), which no repetition will change."""
    state = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
    return str(state)[:2] in {"22", "23"}


def create_pool(database_url: str, *, max_size: int, service: str) -> asyncpg.Pool:
    """A pool whose every statement is bounded in time; once `opened`, it connects when it is used."""
    return asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=max_size,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=COMMAND_TIMEOUT_SECONDS,
        server_settings={"application_name": service},
    )


@contextlib.asynccontextmanager
async def opened(pool: asyncpg.Pool) -> AsyncIterator[None]:
    """Let the pool be used in the block; at its end nobody waits for a database that does not answer."""
    async with pool:
        try:
            yield
        finally:
            pool.terminate()


@contextlib.asynccontextmanager
async def disposed(engine: AsyncEngine) -> AsyncIterator[None]:
    """Let go of the engine's connections after the block; nor does this wait for long."""
    try:
        yield
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await engine.dispose()


def create_engine(database_url: str, *, service: str) -> AsyncEngine:
    """A SQLAlchemy engine over asyncpg for the same URL form (`postgresql://…`)."""
    return create_async_engine(
        sqlalchemy_url(database_url),
        # An error is logged, and the values of its statement may be of a person.
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=4,
        pool_timeout=CONNECT_TIMEOUT_SECONDS,
        connect_args={
            "timeout": CONNECT_TIMEOUT_SECONDS,
            "command_timeout": COMMAND_TIMEOUT_SECONDS,
            "server_settings": {
                "application_name": service,
                # A process that freezes within a transaction keeps its locks from the others no longer than this.
                "idle_in_transaction_session_timeout": f"{FROZEN_SECONDS}s",
            },
        },
    )


def statements(engine: AsyncEngine) -> AsyncConnection:
    """A connection on which every statement commits itself: no lock is held over a round trip."""
    return engine.execution_options(isolation_level="AUTOCOMMIT").connect()


def sqlalchemy_url(database_url: str) -> str:
    """`postgresql://…` as SQLAlchemy's asyncpg dialect names it."""
    parts = urlsplit(database_url)
    return urlunsplit(parts._replace(scheme="postgresql+asyncpg"))
