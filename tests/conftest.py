"""Session-wide infrastructure, started when the first test asks for it, and fresh state per test module."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from itertools import groupby
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from chassis.core_nats.client import CoreNats

from tests.support.infrastructure import Postgres, core_nats, start_nats, start_postgres, wipe_streams
from tests.support.stack import CHAT_URL, Stack

STACKS: Final = ("browser", "chaos", "e2e")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deal the files that run whole stacks among those that wait more than they compute.

    In two processes there is then a stack in one of them and none in the other, most of the time.
    """
    files = [(_room(config, path), list(tests)) for path, tests in groupby(items, key=lambda item: item.path)]
    stacks = [tests for room, tests in files if room in STACKS]
    waiting = [tests for room, tests in files if room == "integration"]
    others = [tests for room, tests in files if room not in {*STACKS, "integration"}]
    share = max(1, len(waiting) // max(1, len(stacks)))
    dealt = [file for number, tests in enumerate(stacks) for file in (tests, *waiting[number * share :][:share])]
    items[:] = [test for file in (*dealt, *waiting[len(stacks) * share :], *others) for test in file]


def _room(config: pytest.Config, path: Path) -> str:
    """The folder below `tests` that a file is in."""
    return path.relative_to(config.rootpath / "tests").parts[0]


@pytest_asyncio.fixture
async def closing() -> AsyncIterator[AsyncExitStack]:
    """Closes at the test's end what it was given. A client left to the garbage collector takes its sockets along while
    the tests' event loop still watches them, and the next connection with such a number never hears anything."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest_asyncio.fixture(scope="session")
async def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """One Postgres 18 for the whole run, durable as in production."""
    async with start_postgres(tmp_path_factory.mktemp("postgres") / "server") as server:
        yield server


@pytest_asyncio.fixture(scope="session")
async def nats_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """One NATS with JetStream for the whole run; its URL with all rights."""
    async with start_nats(tmp_path_factory.mktemp("nats") / "server") as url:
        yield url


@pytest_asyncio.fixture(scope="module")
async def database_url(postgres_server: Postgres, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A fresh, empty database of this module's own, with its owner's rights (`postgresql://…`)."""
    module = str(request.node.name)
    name = "test_" + re.sub(r"[^a-z0-9]+", "_", module.lower())[-50:].strip("_")
    yield await postgres_server.create_database(name)
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture(scope="module")
async def nats_url(nats_server: str) -> str:
    """NATS with all rights and no streams: those of earlier modules are gone."""
    await wipe_streams(nats_server)
    return nats_server


@pytest_asyncio.fixture
async def core(nats_url: str) -> AsyncIterator[CoreNats]:
    """A connection to it by the client that the services use."""
    async with core_nats(nats_url) as client:
        yield client


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack; tests keep apart by using accounts of their own (`account`), and leave it running well."""
    environment = {"SOLARIS_ALERT_WINDOW_SECONDS": "0.5", "SOLARIS_CHAT_URL": CHAT_URL}
    running = Stack(tmp_path_factory.mktemp("stack") / "data", environment)
    try:
        yield running.start()
    finally:
        running.stop()
