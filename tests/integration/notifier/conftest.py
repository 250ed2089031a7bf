"""A migrated database, a mailbox and the ledger's part for each test of the notifier."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from chassis.migrations import migrate

from tests.integration.notifier.mailbox import Mailbox, new_mailbox
from tests.integration.notifier.stage import Database, Ledger, playing_ledger


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with new_mailbox() as mailbox:
        yield mailbox


@pytest_asyncio.fixture(scope="module")
async def migrated_url(database_url: str) -> str:
    await migrate(database_url, "notifier")
    return database_url


@pytest_asyncio.fixture(scope="module")
async def database(migrated_url: str) -> Database:
    return Database(migrated_url)


@pytest_asyncio.fixture
async def ledger(nats_url: str) -> AsyncIterator[Ledger]:
    async with playing_ledger(nats_url) as ledger:
        await ledger.provision()
        yield ledger
