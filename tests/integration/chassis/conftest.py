"""A real NATS server for each module; its clients are connected when a test gets them, and closed afterwards."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from chassis.core_nats.client import CoreNats
from local_run.servers.nats_server import NatsServer, running_nats

type Connect = Callable[[str], Awaitable[CoreNats]]


@pytest_asyncio.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    async with running_nats(tmp_path_factory.mktemp("chassis") / "nats") as running:
        yield running


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects to a URL with rights to any subject."""
    async with AsyncExitStack() as stack:

        async def connected(url: str) -> CoreNats:
            client = await stack.enter_async_context(CoreNats(url, service="operator"))
            assert await client.wait_connected(5)
            return client

        yield connected


@pytest_asyncio.fixture
async def client(server: NatsServer, connect: Connect) -> CoreNats:
    return await connect(server.url())


@pytest_asyncio.fixture
async def other(server: NatsServer, connect: Connect) -> CoreNats:
    return await connect(server.url())
