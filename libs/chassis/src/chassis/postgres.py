"""Connections to Postgres: an asyncpg pool for hot paths, a SQLAlchemy engine for the rest."""

from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

COMMAND_TIMEOUT_SECONDS = 10.0
CONNECT_TIMEOUT_SECONDS = 5.0
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


async def create_pool(database_url: str, *, min_size: int = 1, max_size: int = 4, service: str) -> asyncpg.Pool:
    """A pool whose every statement is bounded in time."""
    return await asyncpg.create_pool(
        database_url,
        min_size=min_size,
        max_size=max_size,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=COMMAND_TIMEOUT_SECONDS,
        server_settings={"application_name": service},
    )


def create_engine(database_url: str, *, service: str) -> AsyncEngine:
    """A SQLAlchemy engine over asyncpg for the same URL form (`postgresql://…`)."""
    return create_async_engine(
        sqlalchemy_url(database_url),
        pool_pre_ping=True,
        pool_size=4,
        max_overflow=4,
        pool_timeout=CONNECT_TIMEOUT_SECONDS,
        connect_args={
            "timeout": CONNECT_TIMEOUT_SECONDS,
            "command_timeout": COMMAND_TIMEOUT_SECONDS,
            "server_settings": {"application_name": service},
        },
    )


def statements(engine: AsyncEngine) -> AsyncConnection:
    """A connection on which every statement commits itself: no lock is held over a round trip."""
    return engine.execution_options(isolation_level="AUTOCOMMIT").connect()


def sqlalchemy_url(database_url: str) -> str:
    """`postgresql://…` as SQLAlchemy's asyncpg dialect names it."""
    parts = urlsplit(database_url)
    return urlunsplit(parts._replace(scheme="postgresql+asyncpg"))
