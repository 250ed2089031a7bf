"""A billing that looks at accounts with auto top-up when something was used, and not by time."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.billing import BillingStage, staged_billing
from tests.support.billing_top_ups import LedgerPart, playing_ledger


@pytest_asyncio.fixture
async def ledger(nats_url: str) -> AsyncIterator[LedgerPart]:
    async with playing_ledger(nats_url) as ledger:
        yield ledger


@pytest_asyncio.fixture
async def stage(migrated_url: str, nats_url: str, ledger: LedgerPart) -> AsyncIterator[BillingStage]:
    async with staged_billing(migrated_url, nats_url, top_up_sweep_seconds=3600.0) as stage:
        yield stage
