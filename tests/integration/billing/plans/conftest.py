"""A billing that looks at subscriptions every second, whatever it hears of them."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.billing import BillingStage, staged_billing


@pytest_asyncio.fixture
async def stage(migrated_url: str, nats_url: str) -> AsyncIterator[BillingStage]:
    async with staged_billing(migrated_url, nats_url, subscription_sweep_seconds=1.0) as stage:
        yield stage
