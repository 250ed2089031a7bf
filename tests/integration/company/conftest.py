"""The made-up company in a database of its own: founded in two goes, as if the first had been killed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import pytest
import pytest_asyncio
from billing.application.offers import load_offers, load_plans
from billing.domain.entitlement import PlanRules
from chassis.delivery import Delivery
from chassis.migrations import migrate
from chassis.postgres import create_engine, disposed, statements
from company.founding import Founding
from contracts.accounts import subject_token
from contracts.subjects import PROJECTOR_BILLING_CONSUMER, event_subject
from contracts.topology import CONSUMERS
from ledger.analytics.publishing import Publisher
from ledger.catalog_file import load_policy
from ledger.messaging.revenue import hear
from ledger.projections.catalog import PROJECTIONS
from ledger.settings import LedgerSettings
from ledger.store.analytics_views import VIEWS
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.eventually import eventually
from tests.support.infrastructure import Postgres
from tests.support.ledger_operate import CATALOG, Ran, operate_on
from tests.support.projecting import caught_up, projecting

KILLED_AFTER = 60
ZONE = "America/Sao_Paulo"
HEARD_OF_MONEY = {
    subject.removeprefix("solaris.").removesuffix(".*")
    for consumer in CONSUMERS
    if consumer.durable_name == PROJECTOR_BILLING_CONSUMER
    for subject in consumer.filter_subjects
}


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


@pytest_asyncio.fixture(scope="session")
async def projected(company: Company) -> str:
    """The same database, with all that is projected, heard and published of it: its URL with the owner's rights."""
    connection = await asyncpg.connect(company.url, timeout=10)
    engine = create_engine(company.url, service="company")
    publisher = Publisher(company.url, ZONE)
    publishing = asyncio.create_task(publisher.run())
    try:
        async with disposed(engine), projecting(company.url):
            async with statements(engine) as statement:
                said = await connection.fetch("SELECT name, account_id, payload FROM billing.outbox")
                for name, account_id, payload in said:
                    if name in HEARD_OF_MONEY:
                        await hear(statement, Delivery(event_subject(name, subject_token(account_id)), payload))
            for projection in PROJECTIONS:
                await caught_up(connection, projection.name, 60)
            await eventually(lambda: _is_published(connection), 30, message="all views have their sources")
    finally:
        publisher.stop()
        await publishing
        await connection.close()
    return company.url


async def _is_published(connection: asyncpg.Connection) -> bool:
    query = "SELECT count(*) FROM pg_views WHERE schemaname = 'analytics' AND definition LIKE '%FROM%'"
    return bool(await connection.fetchval(query) == len(VIEWS))


@pytest_asyncio.fixture
async def database(company: Company) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection to it."""
    connection = await asyncpg.connect(company.url, timeout=10)
    yield connection
    await connection.close()
