"""The operators' commands on a billing of each module's own, beside a ledger and a notifier that know nobody yet."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from chassis.migrations import migrate
from chassis.postgres import create_engine, disposed
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.infrastructure import Postgres
from tests.support.ledger_operate import Operate, operate_on

SERVICES = ("ledger", "notifier", "billing")


@pytest_asyncio.fixture(scope="session")
async def empty_services(postgres_server: Postgres) -> AsyncIterator[str]:
    """The name of a database with the empty schemas of all services, to be copied."""
    name = "test_empty_services"
    url = await postgres_server.create_database(name)
    for service in SERVICES:
        await migrate(url, service)
    yield name
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture(scope="module")
async def billing_url(postgres_server: Postgres, empty_services: str) -> AsyncIterator[str]:
    """Empty schemas of this module's own; each test takes other accounts."""
    async with postgres_server.copied(empty_services) as url:
        yield url


@pytest.fixture
def operate(billing_url: str) -> Operate:
    """Run `python -m billing.operate` on the module's billing; keywords are options."""
    return operate_on(billing_url, "billing")


@pytest_asyncio.fixture
async def database(billing_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection to the module's billing."""
    connection = await asyncpg.connect(billing_url, timeout=10)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def engine(billing_url: str) -> AsyncIterator[AsyncEngine]:
    """As the service has it."""
    engine = create_engine(billing_url, service="billing")
    async with disposed(engine):
        yield engine
