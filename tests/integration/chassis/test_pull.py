"""Pulling from a durable consumer of a real server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import nats
import pytest
import pytest_asyncio
from chassis import pull as pull_module
from chassis.core_nats.client import CoreNats
from chassis.core_nats.wire import Message
from chassis.pull import PullEndedError, Puller
from local_run.servers.nats_server import NatsServer
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig

from tests.support.eventually import eventually

STREAM = "JOBS"
DURABLE = "worker"


@dataclass
class Queue:
    """A stream with one consumer, empty at each test's start."""

    jetstream: JetStreamContext
    client: CoreNats

    def puller(self) -> Puller:
        return Puller(self.client, STREAM, DURABLE, batch=20)

    async def is_done(self) -> bool:
        info = await self.jetstream.consumer_info(STREAM, DURABLE)
        return (info.num_ack_pending, info.num_pending) == (0, 0)


@pytest_asyncio.fixture
async def queue(server: NatsServer, client: CoreNats) -> AsyncIterator[Queue]:
    manager = await nats.connect(server.url())
    jetstream = manager.jetstream()
    await jetstream.add_stream(StreamConfig(name=STREAM, subjects=["jobs.>"]))
    await jetstream.add_consumer(
        STREAM, ConsumerConfig(durable_name=DURABLE, ack_policy=AckPolicy.EXPLICIT, ack_wait=30)
    )
    yield Queue(jetstream, client)
    await jetstream.delete_stream(STREAM)
    await manager.close()


async def take(puller: Puller, count: int) -> list[Message]:
    taken: list[Message] = []
    async with asyncio.timeout(10):
        while len(taken) < count:
            taken += await puller.next()
    return taken


async def test_messages_come_in_order_and_once_when_acknowledged(queue: Queue) -> None:
    async with queue.puller() as puller:
        for number in range(50):
            queue.client.publish("jobs.1", b"%d" % number, headers={"Nats-Msg-Id": f"m{number}"})
        taken = await take(puller, 50)
        assert [message.payload for message in taken] == [b"%d" % number for number in range(50)]
        assert taken[7].header("Nats-Msg-Id") == "m7"
        for message in taken[:49]:
            puller.acknowledge(message)
        puller.terminate(taken[49])
        await eventually(queue.is_done)


async def test_what_is_put_back_comes_again_after_its_delay(queue: Queue) -> None:
    async with queue.puller() as puller:
        queue.client.publish("jobs.1", b"again")
        (first,) = await take(puller, 1)
        put_back_at = asyncio.get_running_loop().time()
        puller.put_back(first, 0.3)
        (second,) = await take(puller, 1)
        assert second.payload == b"again"
        assert asyncio.get_running_loop().time() - put_back_at >= 0.25


async def test_an_empty_queue_is_asked_again(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_module, "REQUEST_SECONDS", 0.2)
    async with queue.puller() as puller, asyncio.timeout(10):
        assert await puller.next() == []
        assert await puller.next() == []
        queue.client.publish("jobs.1", b"late")
        (message,) = await take(puller, 1)
        assert message.payload == b"late"


@pytest.mark.parametrize(
    "raw",
    [
        b"HPUB jobs.1 30 30\r\nNATS/1.0 409 Consumer Gone\r\n\r\n\r\n",
        b"HPUB jobs.1 16 16\r\nNATS/1.0 408\r\n\r\n\r\n",
        b"PUB jobs.\xff 0\r\n\r\n",
        b"PUB jobs.1 0\r\n\r\n",
    ],
)
async def test_no_stored_message_passes_for_the_servers_word(queue: Queue, server: NatsServer, raw: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b'CONNECT {"user":"operator","pass":"%b","verbose":false,"headers":true}\r\n' % _password(server) + raw
    )
    await writer.drain()
    async with queue.puller() as puller:
        (odd,) = await take(puller, 1)
        queue.client.publish("jobs.1", b"next")
        (following,) = await take(puller, 1)
        assert (odd.payload, following.payload) == (b"", b"next")
        puller.acknowledge(odd)
        puller.acknowledge(following)
        await eventually(queue.is_done)
    writer.close()


async def test_a_deleted_consumer_ends_the_pull(queue: Queue) -> None:
    async with queue.puller() as puller:
        waiting = asyncio.create_task(puller.next())
        await queue.client.flush(5)
        await queue.jetstream.delete_consumer(STREAM, DURABLE)
        async with asyncio.timeout(5):
            # The request was ended with the consumer, or came when there was none any more: the server queues both.
            with pytest.raises(PullEndedError, match=r"409|503"):
                await waiting


def _password(server: NatsServer) -> bytes:
    return server.passwords["operator"].encode()
