"""The made-up company in a database of its own: founded in two goes, as if the first had been killed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import pytest
import pytest_asyncio
from billing.application.offers import load_offers, load_plans
from billing.domain.entitlement import PlanRules
from chassis.migrations import migrate
from chassis.postgres import create_engine, disposed
from company.founding import Founding
from ledger.catalog_file import load_policy
from ledger.settings import LedgerSettings
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.infrastructure import Postgres
from tests.support.ledger_operate import CATALOG, Ran, operate_on

KILLED_AFTER = 60


class KilledError(Exception):
    """Stands for the end of the process."""


@dataclass(frozen=True)
class Company:
    """The database with its owner's rights, and what the second go said."""

    url: str
    founded: Ran
    there_before: int


def founding(engine: AsyncEngine) -> Founding:
    """As the verb makes it."""
    policy = load_policy(LedgerSettings(database_url="postgresql://h/d", catalog=CATALOG))
    rules = PlanRules(monthly_tokens=load_plans(CATALOG)[1], grace=timedelta(days=3))
    return Founding(engine, policy, load_offers(CATALOG), rules)


@pytest_asyncio.fixture(scope="session")
async def company(postgres_server: Postgres) -> AsyncIterator[Company]:
    """Killed in the middle and begun again; nobody may change it."""
    url = await postgres_server.create_database("test_company")
    for service in ("ledger", "billing", "notifier"):
        await migrate(url, service)
    there = 0

    def die(done: int, _: int) -> None:
        nonlocal there
        there = done
        if done >= KILLED_AFTER:
            raise KilledError

    engine = create_engine(url, service="company")
    async with disposed(engine):
        with pytest.raises(KilledError):
            await founding(engine).found(1, die)
    founded = await operate_on(url, "company")("seed")
    yield Company(url, founded, there)
    await postgres_server.drop_database("test_company")


@pytest_asyncio.fixture
async def database(company: Company) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection to it."""
    connection = await asyncpg.connect(company.url, timeout=10)
    yield connection
    await connection.close()
