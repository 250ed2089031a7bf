"""An outbox of a service's own: everything is published, in its order, whatever happens to whoever publishes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg
import nats
import pytest
import pytest_asyncio
from chassis import outbox
from chassis.core_nats.client import CoreNats
from chassis.jetstream import Message
from chassis.outbox import Entry, Outbox, Relay
from chassis.provisioning import provision
from contracts.topology import SECOND, Stream
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from prometheus_client import Counter, Gauge

from tests.support.eventually import eventually

LOG = Stream(name="TINY", subjects=("tiny.>",), max_age=600 * SECOND, max_bytes=1_000_000, max_msg_size=1_000)
TABLES = """
CREATE SCHEMA IF NOT EXISTS tiny;
CREATE TABLE IF NOT EXISTS tiny.relay (name text PRIMARY KEY, position bigint NOT NULL);
CREATE TABLE IF NOT EXISTS tiny.notes (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL);
TRUNCATE tiny.relay, tiny.notes RESTART IDENTITY;
"""


async def load_after(connection: asyncpg.Connection, position: int, limit: int) -> list[Entry]:
    rows = await connection.fetch(
        "SELECT position, text FROM tiny.notes WHERE position > $1 ORDER BY position LIMIT $2", position, limit
    )
    return [(row["position"], Message("tiny.note", row["text"].encode(), f"note-{row['position']}")) for row in rows]


async def load_newest(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT coalesce(max(position), 0) FROM tiny.notes"))


TINY = Outbox(service="tiny", leader_lock=4_711, load_after=load_after, load_newest=load_newest)


def value(metric: Gauge | Counter) -> float:
    return next(iter(metric.collect())).samples[0].value


@dataclass
class Tiny:
    """A service with one table of notes, each of which is published."""

    url: str
    connection: asyncpg.Connection
    client: CoreNats
    jetstream: JetStreamContext

    async def note(self, *texts: str) -> None:
        await self.connection.executemany("INSERT INTO tiny.notes (text) VALUES ($1)", [(text,) for text in texts])

    async def published(self) -> list[str]:
        try:
            last = (await self.jetstream.stream_info(LOG.name)).state.last_seq
        except NotFoundError:
            return []
        messages = [await self.jetstream.get_msg(LOG.name, sequence) for sequence in range(1, last + 1)]
        return [(message.data or b"").decode() for message in messages]

    async def has_published(self, *texts: str) -> None:
        async def all_of_them() -> bool:
            return len(await self.published()) >= len(texts)

        await eventually(all_of_them, message="everything is published")
        assert await self.published() == list(texts)

    async def position(self) -> int:
        return int(await self.connection.fetchval("SELECT max(position) FROM tiny.relay") or 0)

    async def has_remembered(self, position: int) -> None:
        async def remembered() -> bool:
            return await self.position() == position

        await eventually(remembered)

    def relay(self) -> Relay:
        return Relay(self.url, self.client, TINY, lambda: provision(self.client, [LOG], ()))

    @asynccontextmanager
    async def relaying(self, relay: Relay | None = None) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task((relay or self.relay()).run())
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest_asyncio.fixture
async def tiny(database_url: str, nats_url: str, core: CoreNats, closing: AsyncExitStack) -> Tiny:
    connection = await asyncpg.connect(database_url)
    closing.push_async_callback(connection.close)
    await connection.execute(TABLES)
    manager = await nats.connect(nats_url)
    closing.push_async_callback(manager.close)
    with suppress(NotFoundError):
        await manager.jetstream().delete_stream(LOG.name)
    await provision(core, [LOG], ())
    return Tiny(database_url, connection, core, manager.jetstream())


async def test_what_is_stored_is_published_in_its_order_and_the_position_remembered(tiny: Tiny) -> None:
    early = [f"early {number}" for number in range(600)]
    await tiny.note(*early)
    relay = tiny.relay()
    async with tiny.relaying(relay):
        await tiny.has_published(*early)
        await tiny.note("late")
        relay.nudge()
        await tiny.has_published(*early, "late")
        await tiny.has_remembered(601)
    async with tiny.relaying():
        await tiny.note("later")
        await tiny.has_published(*early, "late", "later")


async def test_a_relay_that_was_killed_between_publishing_and_remembering_publishes_nothing_twice(tiny: Tiny) -> None:
    await tiny.note("one", "two")
    async with tiny.connection.transaction():
        await tiny.connection.execute("LOCK TABLE tiny.relay IN SHARE MODE")
        async with tiny.relaying():
            await tiny.has_published("one", "two")
    assert await tiny.position() == 0
    async with tiny.relaying():
        await tiny.note("three")
        await tiny.has_published("one", "two", "three")
        await tiny.has_remembered(3)


async def test_nothing_is_published_past_what_was_refused(tiny: Tiny) -> None:
    large = "x" * 2_000
    before = value(TINY.errors)
    await tiny.note(*(f"{number}" for number in range(20)), large, "after")
    async with tiny.relaying():
        await eventually(lambda: value(TINY.errors) >= before + 2)
        assert await tiny.published() == [f"{number}" for number in range(20)]
        assert await tiny.position() == 0
        assert value(TINY.lag) == 22
        made = (await tiny.jetstream.stream_info(LOG.name)).config
        await tiny.jetstream.update_stream(made.evolve(max_msg_size=5_000))
        await tiny.has_published(*(f"{number}" for number in range(20)), large, "after")


async def test_of_two_one_leads_and_the_other_follows_it(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "POLL_SECONDS", 0.05)
    async with tiny.relaying() as first:
        await tiny.note("one")
        await tiny.has_published("one")
        async with tiny.relaying() as second:
            await tiny.note("two")
            await tiny.has_published("one", "two")
            assert not second.done()
            first.cancel()
            await tiny.note("three")
            await tiny.has_published("one", "two", "three")


async def test_a_frozen_leader_is_followed_and_does_no_harm_when_it_thaws(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "FROZEN_SECONDS", 1)
    monkeypatch.setattr(outbox, "POLL_SECONDS", 0.05)
    frozen, thawed = asyncio.Event(), asyncio.Event()

    async def freeze(connection: asyncpg.Connection, position: int, limit: int) -> list[Entry]:
        page = await load_after(connection, position, limit)
        if page and not frozen.is_set():
            frozen.set()
            await thawed.wait()
        return page

    monkeypatch.setattr(TINY, "load_after", freeze)
    async with tiny.relaying() as first:
        await tiny.note("one")
        await frozen.wait()
        async with tiny.relaying():
            await tiny.note("two")
            await tiny.has_published("one", "two")
            thawed.set()
            await tiny.note("three")
            await tiny.has_published("one", "two", "three")
            assert not first.done()


async def test_a_stream_that_is_lost_is_made_anew_and_what_comes_is_published(tiny: Tiny) -> None:
    async with tiny.relaying():
        await tiny.note("lost")
        await tiny.has_published("lost")
        await tiny.jetstream.delete_stream(LOG.name)
        await tiny.note("found")
        await tiny.has_published("found")
