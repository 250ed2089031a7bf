"""A billing that looks at subscriptions every second; each test has a Stripe and a database of its own."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.billing import BillingStage, staged_billing
from tests.support.infrastructure import Postgres


@pytest_asyncio.fixture
async def own_url(postgres_server: Postgres, empty_billing: str) -> AsyncIterator[str]:
    async with postgres_server.copied(empty_billing) as url:
        yield url


@pytest_asyncio.fixture
async def stage(own_url: str, nats_url: str) -> AsyncIterator[BillingStage]:
    async with staged_billing(own_url, nats_url, subscription_sweep_seconds=1.0) as stage:
        yield stage
