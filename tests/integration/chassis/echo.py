"""A service that does nothing but consume: its tables, as a revision of its own makes them."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from chassis.dead_letters import DeadLetters, dead_letters_table
from chassis.inbox import inbox_table
from chassis.migrations import migrate
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.infrastructure import Postgres

REVISION = """
from chassis.migrations import create_consumer_tables
revision, down_revision = "0001", None

def upgrade():
    create_consumer_tables("echo")
"""
metadata = MetaData(schema="echo")
inbox = inbox_table(metadata)
LETTERS = DeadLetters("echo", dead_letters_table(metadata))


@contextlib.asynccontextmanager
async def echo_database(server: Postgres, name: str, folder: Path) -> AsyncIterator[str]:
    url = await server.create_database(name)
    (folder / "versions").mkdir()
    (folder / "versions" / "0001_echo.py").write_text(REVISION)
    await migrate(url, "echo", folder=folder)
    yield url
    await server.drop_database(name)


async def empty(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
