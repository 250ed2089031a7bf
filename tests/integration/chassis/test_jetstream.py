"""Publishing in order, with acknowledgement, on a real server."""

from collections.abc import AsyncIterator

import nats
import pytest
import pytest_asyncio
from chassis.core_nats.client import CoreNats
from chassis.jetstream import MIN_ATOMIC_BATCH, JetStreamError, Message, publish_in_order
from local_run.servers.nats_server import NatsServer
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

STREAM = "LOG"


@pytest_asyncio.fixture
async def jetstream(server: NatsServer) -> AsyncIterator[JetStreamContext]:
    """Manages a stream of messages below `log.`, of at most 1,000 bytes each."""
    manager = await nats.connect(server.url())
    context = manager.jetstream()
    await context.add_stream(StreamConfig(name=STREAM, subjects=["log.>"], max_msg_size=1_000, allow_atomic=True))
    yield context
    await context.delete_stream(STREAM)
    await manager.close()


async def stored(jetstream: JetStreamContext) -> list[bytes]:
    last = (await jetstream.stream_info(STREAM)).state.last_seq
    return [(await jetstream.get_msg(STREAM, sequence)).data or b"" for sequence in range(1, last + 1)]


def batch(first: int, end: int) -> list[Message]:
    return [Message("log.1", b"%d" % number, f"m{number}") for number in range(first, end)]


@pytest.mark.parametrize("size", [1, 3, MIN_ATOMIC_BATCH, 100])
async def test_a_batch_is_stored_in_its_order(client: CoreNats, jetstream: JetStreamContext, size: int) -> None:
    assert await publish_in_order(client, batch(0, size)) == size
    assert await stored(jetstream) == [b"%d" % number for number in range(size)]


async def test_publishing_again_stores_nothing_twice(client: CoreNats, jetstream: JetStreamContext) -> None:
    await publish_in_order(client, batch(0, 30))
    await publish_in_order(client, batch(0, 30))
    assert await publish_in_order(client, batch(20, 50)) == 50
    assert await stored(jetstream) == [b"%d" % number for number in range(50)]


async def test_a_refused_message_is_told_and_those_before_it_are_stored(
    client: CoreNats, jetstream: JetStreamContext
) -> None:
    messages = [*batch(0, 20), Message("log.1", b"x" * 2_000, "large"), *batch(20, 30)]
    with pytest.raises(JetStreamError):
        await publish_in_order(client, messages)
    assert await stored(jetstream) == [b"%d" % number for number in range(20)]


async def test_without_a_stream_nothing_counts_as_published(client: CoreNats, jetstream: JetStreamContext) -> None:
    for size in (1, MIN_ATOMIC_BATCH):
        with pytest.raises(Error):
            await publish_in_order(client, [Message("elsewhere", b"", f"m{number}") for number in range(size)])
