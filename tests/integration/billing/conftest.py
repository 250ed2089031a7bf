"""A billing that sells through a demo Stripe, on a database and streams of each module's own."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from chassis.migrations import migrate

from tests.support.billing import BillingStage, staged_billing
from tests.support.forks import Forks, warm
from tests.support.infrastructure import Postgres

IMPORTED_LATE = ("httpcore._api", "pydantic.v1.main")
"""By what billing uses, once that is used."""


@pytest_asyncio.fixture(scope="session")
async def empty_billing(postgres_server: Postgres) -> AsyncIterator[str]:
    """The name of a database with billing's empty schema, to be copied: that takes less than to migrate."""
    name = "test_empty_billing"
    await migrate(await postgres_server.create_database(name), "billing")
    yield name
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture(scope="module")
async def migrated_url(postgres_server: Postgres, empty_billing: str) -> AsyncIterator[str]:
    async with postgres_server.copied(empty_billing) as url:
        yield url


@pytest_asyncio.fixture(scope="module")
async def module_stage(migrated_url: str, nats_url: str) -> AsyncIterator[BillingStage]:
    async with staged_billing(migrated_url, nats_url) as stage:
        yield stage


@pytest_asyncio.fixture
async def stage(module_stage: BillingStage) -> BillingStage:
    """The module's, with nothing wrong; each test takes other accounts."""
    await module_stage.stripe.deliveries("normal")
    await module_stage.stripe.faults("none")
    return module_stage


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Whoever has a billing of a process of its own forks it."""
    with warm("billing.main", *IMPORTED_LATE) as forks:
        yield forks
