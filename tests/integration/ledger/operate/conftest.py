"""The operator's commands on a ledger of each module's own."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.support.infrastructure import Postgres
from tests.support.ledger_operate import Operate, operate_on


@pytest.fixture
def operate(ledger_url: str) -> Operate:
    """Run `python -m ledger.operate` on the module's ledger; keywords are options."""
    return operate_on(ledger_url)


@pytest_asyncio.fixture(scope="module")
async def ledger_url(postgres_server: Postgres, history_template: str) -> AsyncIterator[str]:
    """A ledger with a small history, of this module's own; each test takes other accounts."""
    async with postgres_server.copied(history_template) as url:
        yield url


@pytest_asyncio.fixture
async def database(ledger_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection to the module's ledger."""
    connection = await asyncpg.connect(ledger_url, timeout=10)
    yield connection
    await connection.close()
