"""The client of core NATS while its server is away, refuses, hangs or talks nonsense."""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from chassis.core_nats import client as client_module
from chassis.core_nats import connection as connection_module
from chassis.core_nats.client import RECONNECT_SECONDS, CoreNats
from chassis.core_nats.connection import MAX_UNSENT_BYTES
from chassis.core_nats.wire import MAX_LINE_BYTES, Message
from local_run.ports import any_free
from local_run.servers.nats_authority import USERS
from local_run.servers.nats_server import NatsServer
from local_run.supervision import process
from nats.errors import ConnectionClosedError, Error, OutboundBufferLimitError

from tests.integration.chassis.scripted_nats import Visit, scripted_nats
from tests.support.eventually import eventually


@dataclass
class NatsProcess:
    """A server that can be killed, and comes back where it was."""

    server: NatsServer
    process: Process | None = None

    async def start(self) -> None:
        self.process = await process.start(self.server.program(), output=asyncio.subprocess.DEVNULL)
        await self.server.wait_until_ready(self.process)

    async def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
            self.process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It stands still for the length of the block: nothing it has is lost, and it hears nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@pytest_asyncio.fixture
async def mortal(tmp_path: Path) -> AsyncIterator[NatsProcess]:
    server = NatsServer(
        directory=tmp_path / "nats", port=any_free(), passwords={user.name: user.name for user in USERS}
    )
    server.initialise()
    running = NatsProcess(server)
    await running.start()
    yield running
    await running.kill()


async def test_a_killed_server_fails_what_waits_and_its_successor_serves_the_same_subscriptions(
    mortal: NatsProcess,
) -> None:
    async with AsyncExitStack() as stack:
        asker, worker = [
            await stack.enter_async_context(CoreNats(mortal.server.url(), service="operator")) for _ in range(2)
        ]
        assert await asker.wait_connected(5)
        assert await worker.wait_connected(5)
        taken: list[Message] = []
        worker.subscribe("work", taken.append, queue="workers")
        worker.subscribe("echo", lambda message: worker.publish(message.reply, message.payload))
        forgotten = worker.subscribe("forgotten", taken.append)
        await worker.unsubscribe(forgotten)
        await worker.flush(5)
        waiting = [asyncio.create_task(asker.request("work", b"before", seconds=60)) for _ in range(10)]
        await eventually(lambda: len(taken) == 10)

        await mortal.kill()
        async with asyncio.timeout(5):
            failures = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(failure) for failure in failures] == [ConnectionClosedError] * 10
        await eventually(lambda: not asker.is_connected and not worker.is_connected)
        with pytest.raises(Error):
            asker.publish("work", b"meanwhile")
        with pytest.raises(Error):
            await asker.request("work", b"meanwhile", seconds=60)
        added: list[Message] = []
        worker.subscribe("added.meanwhile", added.append)

        await mortal.start()
        assert await asker.wait_connected(5)
        assert await worker.wait_connected(5)
        await worker.flush(5)
        assert await asker.request("echo", b"again", seconds=5) == b"again"
        asker.publish("forgotten", b"")
        asker.publish("work", b"after")
        asker.publish("added.meanwhile", b"")
        await eventually(lambda: added)
        assert [message.payload for message in taken] == [b"before"] * 10 + [b"after"]


async def test_a_frozen_server_is_given_up_and_taken_up_again_when_it_goes_on(
    mortal: NatsProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "PING_SECONDS", 0.5)
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.5)
    async with CoreNats(mortal.server.url(), service="operator") as client:
        assert await client.wait_connected(5)
        client.subscribe("echo", lambda message: client.publish(message.reply, message.payload))
        await client.flush(5)
        with mortal.frozen():
            async with asyncio.timeout(30):
                with pytest.raises(ConnectionClosedError):
                    await client.request("echo", b"frozen", seconds=60)
            assert not await client.wait_connected(1)  # the kernel goes on taking connections in for it
        assert await client.wait_connected(30)
        await client.flush(10)
        assert await client.request("echo", b"thawed", seconds=10) == b"thawed"


async def test_a_server_that_is_not_there_yet_is_waited_for(mortal: NatsProcess) -> None:
    await mortal.kill()
    async with CoreNats(mortal.server.url(), service="operator") as client:
        assert not await client.wait_connected(0.1)
        waiting = asyncio.create_task(client.wait_connected(10))
        await mortal.start()
        assert await waiting
        await client.flush(5)


async def test_a_refused_login_is_tried_again_without_haste() -> None:
    async def refuse(_: int, visit: Visit) -> None:
        visit.say(b'INFO {"auth_required": true}\r\n')
        await visit.hear(b"PING")
        visit.say(b"-ERR 'Authorization Violation'\r\n")

    async with scripted_nats(refuse) as scripted, CoreNats(scripted.url, service="operator") as client:
        await eventually(lambda: len(scripted.visits) == 4)
        assert not client.is_connected
        gaps = [later - earlier for earlier, later in zip(scripted.times, scripted.times[1:], strict=False)]
        assert min(gaps) >= RECONNECT_SECONDS * 0.9
        assert b'"user": "scripted", "pass": "password"' in scripted.visits[0].heard[0]


async def test_a_server_that_never_greets_is_left_for_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.2)

    async def hang_first(number: int, visit: Visit) -> None:
        match number:
            case 0:
                await visit.hear(b"anything")
            case 1:
                visit.say(b"INFO {}\r\n")
                await visit.hear(b"anything")
            case _:
                await visit.greet()
                await visit.answer_pings()

    async with scripted_nats(hang_first) as scripted, CoreNats(scripted.url, service="operator") as client:
        assert await client.wait_connected(5)
        assert len(scripted.visits) >= 3
        assert scripted.visits[0].heard == []


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\r\n",
        b"\0\1\2\3\xff" * 100 + b"\r\n",
        b"x" * (MAX_LINE_BYTES + 1),
        b"INFO\r\n",
        b"INFO []\r\n",
        b'INFO {"max_payload": "much"}\r\n',
        b'INFO {"connect_urls": ["host:port"]}\r\n',
        b"INFO {}\r\nMSG work 2 5\r\nhello\r\n",
        b"INFO {}\r\nMSG work\r\n",
        b"INFO {}\r\n",
        b"INFO {}\r\n-ERR 'maximum connections exceeded'\r\n",
        b"INFO {}\r\nPONG\r\n-ERR\r\n",
    ],
)
async def test_nonsense_in_place_of_a_greeting_is_left_for_another_try(greeting: bytes) -> None:
    async def talk(number: int, visit: Visit) -> None:
        if number == 0:
            visit.say(greeting)
            return
        await visit.greet()
        await visit.answer_pings()

    heard: list[Message] = []
    async with scripted_nats(talk) as scripted, CoreNats(scripted.url, service="operator") as client:
        client.subscribe("work", heard.append)
        await eventually(lambda: len(scripted.visits) == 2)
        assert await client.wait_connected(5)
        await client.flush(5)
    assert heard == []


async def test_nonsense_ends_a_good_connection_and_fails_what_waits() -> None:
    async def talk(number: int, visit: Visit) -> None:
        await visit.greet()
        if number == 0:
            await visit.hear(b"PUB")
            visit.say(b"MSG work 1 many\r\n")
        await visit.answer_pings()

    async with scripted_nats(talk) as scripted, CoreNats(scripted.url, service="operator") as client:
        assert await client.wait_connected(5)
        async with asyncio.timeout(5):
            with pytest.raises(ConnectionClosedError):
                await client.request("work", b"", seconds=60)
        await eventually(lambda: len(scripted.visits) == 2 and client.is_connected)


async def test_half_a_message_is_nothing_and_is_not_put_together_with_a_later_connections() -> None:
    async def talk(number: int, visit: Visit) -> None:
        await visit.greet()
        subject, sid = (await visit.hear(b"SUB work")).split()[1:]
        if number == 0:
            visit.say(b"MSG %b %b 5\r\nhe" % (subject, sid))
            return
        visit.say(b"MSG %b %b 5\r\nhello\r\n" % (subject, sid))
        await visit.answer_pings()

    heard: list[bytes] = []
    async with scripted_nats(talk) as scripted, CoreNats(scripted.url, service="operator") as client:
        client.subscribe("work", lambda message: heard.append(message.payload))
        await eventually(lambda: heard)
        assert len(scripted.visits) == 2
    assert heard == [b"hello"]


async def test_what_is_subscribed_during_a_greeting_is_subscribed() -> None:
    greeting, subscribed = asyncio.Event(), asyncio.Event()

    async def talk(_: int, visit: Visit) -> None:
        visit.say(b"INFO {}\r\n")
        await visit.hear(b"PING")
        greeting.set()
        await subscribed.wait()
        visit.say(b"PONG\r\n")
        await visit.answer_pings()

    async with scripted_nats(talk) as scripted, CoreNats(scripted.url, service="operator") as client:
        client.subscribe("before", lambda _: None)
        await greeting.wait()
        client.subscribe("during", lambda _: None, queue="group")
        await client.unsubscribe(client.subscribe("changed.my.mind", lambda _: None))
        subscribed.set()
        assert await client.wait_connected(5)
        client.subscribe("after", lambda _: None)
        await client.flush(5)
        words = [line.split() for line in scripted.visits[0].heard if line.startswith((b"SUB", b"UNSUB"))]
    inbox, *others = words
    assert inbox[1].startswith(b"_INBOX_operator.")
    assert [each[1:-1] for each in others] == [[b"before"], [b"during", b"group"], [b"after"]]


async def test_a_server_that_stops_reading_is_not_written_to_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "PING_SECONDS", 0.5)
    stuck = asyncio.Event()

    async def talk(number: int, visit: Visit) -> None:
        await visit.greet()
        if number == 0:
            await stuck.wait()
        await visit.answer_pings()

    chunk = b"x" * 64 * 1024
    async with scripted_nats(talk) as scripted, CoreNats(scripted.url, service="operator") as client:
        assert await client.wait_connected(5)
        taken = 0

        async def publish_without_end() -> None:
            nonlocal taken
            while taken < 8 * MAX_UNSENT_BYTES:
                client.publish("work", chunk)
                taken += len(chunk)
                await asyncio.sleep(0)

        with pytest.raises(OutboundBufferLimitError):
            await publish_without_end()
        assert taken > MAX_UNSENT_BYTES  # what the kernel took in comes on top
        async with asyncio.timeout(10):
            await client.writable()  # until the unanswered pings end the connection
        await eventually(lambda: len(scripted.visits) == 2 and client.is_connected)
        stuck.set()


async def test_pings_without_an_answer_end_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "PING_SECONDS", 0.05)

    async def talk(number: int, visit: Visit) -> None:
        await visit.greet()
        if number == 0:
            await visit.hear(b"anything")
        await visit.answer_pings()

    async with scripted_nats(talk) as scripted, CoreNats(scripted.url, service="operator") as client:
        assert await client.wait_connected(5)
        async with asyncio.timeout(5):
            with pytest.raises(ConnectionClosedError):
                await client.request("work", b"", seconds=60)
        await eventually(lambda: len(scripted.visits) == 2 and client.is_connected)
        second = scripted.visits[1]
        await eventually(lambda: second.heard.count(b"PING\r\n") >= 6)
        assert len(scripted.visits) == 2


async def test_flushes_that_wait_are_no_unanswered_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "PING_SECONDS", 0.2)

    async def talk(_: int, visit: Visit) -> None:
        await visit.greet()
        for _ in range(6):  # five flushes, and the first ping after them
            await visit.hear(b"PING")
        visit.say(b"PONG\r\n" * 6)
        await visit.answer_pings()

    async with scripted_nats(talk) as scripted, CoreNats(scripted.url, service="operator") as client:
        assert await client.wait_connected(5)
        await asyncio.gather(*(client.flush(5) for _ in range(5)))
        assert len(scripted.visits) == 1


async def test_the_servers_pings_are_answered() -> None:
    answered = asyncio.Event()

    async def talk(_: int, visit: Visit) -> None:
        await visit.greet()
        visit.say(b"+OK\r\nPING\r\nPING\r\n")
        await visit.hear(b"PONG")
        await visit.hear(b"PONG")
        answered.set()
        await visit.answer_pings()

    async with scripted_nats(talk) as scripted, CoreNats(scripted.url, service="operator"):
        async with asyncio.timeout(5):
            await answered.wait()
        assert len(scripted.visits) == 1


async def test_another_server_of_the_cluster_takes_over() -> None:
    async def serve(_: int, visit: Visit) -> None:
        await visit.greet()
        await visit.answer_pings()

    async with scripted_nats(serve) as second:

        async def announce_and_leave(_: int, visit: Visit) -> None:
            await visit.greet(connect_urls=[f"127.0.0.1:{second.port}"])
            await visit.hear(b"PUB")

        async with scripted_nats(announce_and_leave) as first, CoreNats(first.url, service="operator") as client:
            assert await client.wait_connected(5)
            with pytest.raises(ConnectionClosedError):
                await client.request("work", b"", seconds=60)
            await eventually(lambda: second.visits and client.is_connected)
            await client.flush(5)
            assert b'"user": "scripted"' in second.visits[0].heard[0]
