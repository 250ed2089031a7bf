"""A billing that sells through a demo Stripe, on a database and streams of each module's own."""

from collections.abc import AsyncIterator

import pytest_asyncio
from chassis.migrations import migrate

from tests.support.billing import BillingStage, staged_billing


@pytest_asyncio.fixture(scope="module")
async def migrated_url(database_url: str) -> str:
    await migrate(database_url, "billing")
    return database_url


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
