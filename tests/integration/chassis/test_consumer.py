"""A durable consumer on a real server: what becomes of each message, and what it outlives."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import nats
import pytest
import pytest_asyncio
from chassis import consumer, delivery
from chassis.consumer import AHEAD, REQUEST_SECONDS, ConnectionLostError, Consumer
from chassis.core_nats.client import CoreNats
from chassis.dead_letters import PoisonError
from chassis.delivery import MESSAGES, Delivery, Handler, NotYetError
from chassis.postgres import create_engine
from faststream.nats import NatsBroker
from local_run.ports import any_free
from local_run.servers.nats_authority import USERS, NatsUser
from local_run.servers.nats_server import NatsServer, running_nats
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.integration.chassis.conftest import Connect
from tests.integration.chassis.echo import LETTERS, echo_database, empty
from tests.support.eventually import eventually
from tests.support.infrastructure import Postgres

STREAM, DURABLE, SUBJECT = "ECHO", "echo-heard", "solaris.echo.said"


@dataclass
class Publisher:
    """Makes the stream and its durable consumer, and publishes to it."""

    client: Client

    async def provision(self, *, ack_wait_seconds: float = 5) -> None:
        jetstream = self.client.jetstream(timeout=10)
        await jetstream.add_stream(StreamConfig(name=STREAM, subjects=["solaris.echo.>"]))
        await jetstream.add_consumer(
            STREAM,
            ConsumerConfig(durable_name=DURABLE, ack_policy=AckPolicy.EXPLICIT, ack_wait=ack_wait_seconds),
        )

    async def publish(self, *payloads: bytes) -> None:
        for payload in payloads:
            await self.client.jetstream(timeout=10).publish(SUBJECT, payload)

    async def all_settled(self) -> bool:
        info = await self.client.jetstream(timeout=10).consumer_info(STREAM, DURABLE)
        return bool(info.num_pending == 0 and info.num_ack_pending == 0)


@dataclass
class Heard:
    """A handler that does what it is told, and notes what it got."""

    payloads: list[bytes] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    async def hear(self, _: AsyncConnection, delivery: Delivery) -> None:
        self.payloads.append(delivery.payload)
        if self.errors:
            raise self.errors.pop(0)


@pytest_asyncio.fixture(scope="module")
async def url(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with echo_database(postgres_server, "echo_consumer", tmp_path_factory.mktemp("echo")) as url:
        yield url


@pytest_asyncio.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(url, service="test")
    yield engine
    await empty(engine)
    await engine.dispose()


@contextlib.asynccontextmanager
async def publishing(server: NatsServer) -> AsyncIterator[Publisher]:
    client = await nats.connect(server.url(), inbox_prefix="_INBOX_operator", max_reconnect_attempts=-1)
    try:
        yield Publisher(client)
    finally:
        await client.close()


@pytest_asyncio.fixture
async def publisher(server: NatsServer) -> AsyncIterator[Publisher]:
    async with publishing(server) as publisher:
        await publisher.provision()
        yield publisher
        await publisher.client.jetstream().delete_stream(STREAM)


@contextlib.asynccontextmanager
async def consuming(
    client: CoreNats, server: NatsServer, engine: AsyncEngine, hear: Handler
) -> AsyncIterator[Consumer]:
    running = Consumer(client, server.url(), engine, LETTERS, hear, stream=STREAM, durable=DURABLE)
    async with beside(running):
        yield running


@contextlib.asynccontextmanager
async def beside(running: Consumer) -> AsyncIterator[None]:
    task = asyncio.create_task(running.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _works(running: Consumer) -> bool:
    return await running.check() is None


async def test_messages_are_handled_in_their_order_and_acknowledged(
    client: CoreNats, server: NatsServer, engine: AsyncEngine, publisher: Publisher
) -> None:
    heard = Heard()
    payloads = [str(number).encode() for number in range(200)]
    await publisher.publish(*payloads)
    async with consuming(client, server, engine, heard.hear):
        await eventually(publisher.all_settled)
    assert heard.payloads == payloads


async def test_a_lone_message_waits_for_no_others(
    client: CoreNats, server: NatsServer, engine: AsyncEngine, publisher: Publisher
) -> None:
    heard = Heard()
    async with consuming(client, server, engine, heard.hear) as running:
        await eventually(lambda: _works(running))
        async with asyncio.timeout(REQUEST_SECONDS / 2):
            await publisher.publish(b"lone")
            await eventually(lambda: heard.payloads == [b"lone"])


async def test_poison_becomes_one_dead_letter_and_never_comes_again(
    client: CoreNats, server: NatsServer, engine: AsyncEngine, publisher: Publisher
) -> None:
    heard = Heard(errors=[PoisonError("no event of ours"), PoisonError("no event of ours")])
    given_up, handled = (MESSAGES.labels(DURABLE, outcome) for outcome in ("given_up", "handled"))
    before = _counted(given_up), _counted(handled)
    await publisher.publish(b"\xff", b"\xff", b"good")
    async with consuming(client, server, engine, heard.hear):
        await eventually(publisher.all_settled)
    assert heard.payloads == [b"\xff", b"\xff", b"good"]
    (letter,) = [each async for each in LETTERS.load(engine)]
    assert (letter.consumer, letter.subject, letter.payload) == (DURABLE, SUBJECT, b"\xff")
    assert letter.reason == "no event of ours"
    await eventually(lambda: (_counted(given_up), _counted(handled)) == (before[0] + 2, before[1] + 1))


def _counted(counter: Counter) -> float:
    (metric,) = counter.collect()
    return next(sample.value for sample in metric.samples if sample.name.endswith("_total"))


async def test_what_postgres_refuses_as_data_is_given_up_and_what_it_refuses_for_now_comes_again(
    client: CoreNats, server: NatsServer, engine: AsyncEngine, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FIRST_NAK_SECONDS", 0.1)
    statements = {b"data": ["SELECT 'x'::integer"] * 9, b"passing": ["SELECT FROM nowhere", "SELECT 1"]}

    async def hear(connection: AsyncConnection, delivery: Delivery) -> None:
        await connection.execute(text(statements[delivery.payload].pop(0)))

    await publisher.publish(b"data", b"passing")
    async with consuming(client, server, engine, hear):
        await eventually(publisher.all_settled)
    assert [each.payload async for each in LETTERS.load(engine)] == [b"data"]
    assert {payload: len(left) for payload, left in statements.items()} == {b"data": 8, b"passing": 0}


async def test_a_connection_serves_message_after_message_until_the_database_ends_it(
    client: CoreNats, server: NatsServer, engine: AsyncEngine, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FIRST_NAK_SECONDS", 0.1)
    heard: list[tuple[bytes, int]] = []

    async def hear(connection: AsyncConnection, delivery: Delivery) -> None:
        heard.append((delivery.payload, (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()))

    await publisher.publish(b"1", b"2", b"3")
    async with consuming(client, server, engine, hear):
        await eventually(publisher.all_settled)
        assert len({backend for _, backend in heard}) == 1
        async with engine.connect() as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": heard[0][1]})
        await publisher.publish(b"4")
        await eventually(publisher.all_settled)
    assert [payload for payload, _ in heard] == [b"1", b"2", b"3", b"4"]
    assert heard[-1][1] != heard[0][1]


async def test_a_fault_of_ours_is_tried_ten_times_and_given_up_and_what_is_not_there_yet_is_waited_for(
    client: CoreNats, server: NatsServer, engine: AsyncEngine, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FIRST_NAK_SECONDS", 0.01)
    monkeypatch.setattr(delivery, "LONGEST_NAK_SECONDS", 0.1)
    early, faulty = Heard(errors=[NotYetError("too early")] * 12), Heard(errors=[ZeroDivisionError()] * 10)
    for heard, reasons in ((early, []), (faulty, ["unexpected ZeroDivisionError"])):
        await publisher.publish(b"message")
        async with consuming(client, server, engine, heard.hear):
            await eventually(publisher.all_settled, 20)
        assert [each.reason async for each in LETTERS.load(engine)] == reasons
    assert (len(early.payloads), len(faulty.payloads)) == (13, 10)


async def test_a_letter_that_can_not_be_kept_leaves_the_message_in_the_stream(
    client: CoreNats, server: NatsServer, engine: AsyncEngine, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FIRST_NAK_SECONDS", 0.1)
    heard = Heard(errors=[PoisonError("broken")] * 99)
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE echo.dead_letters RENAME TO away"))
    await publisher.publish(b"poison")
    async with consuming(client, server, engine, heard.hear):
        await eventually(lambda: len(heard.payloads) > 1)
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE echo.away RENAME TO dead_letters"))
        await eventually(publisher.all_settled, 20)
    assert [each.payload async for each in LETTERS.load(engine)] == [b"poison"]


async def test_it_goes_on_when_a_deleted_consumer_or_stream_is_made_anew(
    client: CoreNats, server: NatsServer, engine: AsyncEngine, publisher: Publisher
) -> None:
    heard = Heard()
    async with consuming(client, server, engine, heard.hear) as running:
        await publisher.publish(b"before")
        await eventually(lambda: heard.payloads == [b"before"])
        jetstream = publisher.client.jetstream()
        for payload, delete in (
            (b"consumer", jetstream.delete_consumer(STREAM, DURABLE)),
            (b"stream", jetstream.delete_stream(STREAM)),
        ):
            await delete
            await eventually(lambda: _names_the_consumer(running))
            await publisher.provision()
            await publisher.publish(payload)
            await eventually(partial(_last_was, heard, payload))
            await eventually(lambda: _works(running))


def _last_was(heard: Heard, payload: bytes) -> bool:
    return heard.payloads[-1] == payload


async def _names_the_consumer(running: Consumer) -> bool:
    return "NotFoundError" in (await running.check() or "")


async def test_no_restart_of_the_server_leaves_it_stuck(engine: AsyncEngine, tmp_path: Path, connect: Connect) -> None:
    heard, port = Heard(), any_free()
    async with contextlib.AsyncExitStack() as stack:
        async with running_nats(tmp_path / "nats", port=port) as server, publishing(server) as publisher:
            await publisher.provision()
            client = await connect(server.url())
            await stack.enter_async_context(consuming(client, server, engine, heard.hear))
            await publisher.publish(b"0")
            await eventually(lambda: heard.payloads == [b"0"])
        for number in range(1, 6):
            payload = str(number).encode()
            async with running_nats(tmp_path / "nats", port=port) as server, publishing(server) as publisher:
                await publisher.publish(payload)
                await eventually(partial(_last_was, heard, payload), 20)


@pytest.mark.parametrize(
    "case",
    [
        ([], "nats: 'Authorization Violation'"),
        ([NatsUser(name="echo", publish=("$JS.ACK.>",), subscribe=None)], "requests are not answered"),
    ],
)
async def test_it_says_what_the_server_refuses_and_goes_on_once_that_is_granted(
    engine: AsyncEngine,
    tmp_path: Path,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[list[NatsUser], str],
) -> None:
    rights, problem = case
    monkeypatch.setattr(consumer, "REQUEST_SECONDS", 0.2)
    heard, port = Heard(), any_free()

    async def told() -> bool:
        return await running.check() == problem

    async with contextlib.AsyncExitStack() as stack:
        async with running_nats(tmp_path / "nats", port=port, users=(*USERS, *rights)) as server:
            async with publishing(server) as publisher:
                await publisher.provision()
            client = await connect(server.url())
            url = server.url().replace("operator", "echo")
            running = Consumer(client, url, engine, LETTERS, heard.hear, stream=STREAM, durable=DURABLE)
            await stack.enter_async_context(beside(running))
            await eventually(told, 20)
        users = (*USERS, NatsUser(name="echo", publish=None, subscribe=None))
        async with running_nats(tmp_path / "nats", port=port, users=users) as server, publishing(server) as publisher:
            await publisher.publish(b"granted")
            await eventually(lambda: heard.payloads == [b"granted"], 20)
            assert await running.check() is None


async def test_it_logs_in_on_every_server_of_a_list_as_the_first_says_whatever_the_password_holds(
    engine: AsyncEngine, tmp_path: Path, connect: Connect
) -> None:
    heard = Heard()
    users = (*USERS, NatsUser(name="e@ch:o%", publish=None, subscribe=None))
    async with running_nats(tmp_path / "nats", users=users) as server, publishing(server) as publisher:
        await publisher.provision()
        await publisher.publish(b"heard")
        url = f"{server.url('e@ch:o%').replace(str(server.port), str(any_free()))},nats://127.0.0.1:{server.port}"
        running = Consumer(await connect(url), url, engine, LETTERS, heard.hear, stream=STREAM, durable=DURABLE)
        async with beside(running):
            await eventually(lambda: heard.payloads == [b"heard"], 20)


async def test_a_connection_that_is_gone_for_good_ends_it_so_that_the_service_is_started_anew(
    client: CoreNats, server: NatsServer, engine: AsyncEngine, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[Client] = []
    connect = NatsBroker.connect

    async def note(self: NatsBroker) -> Client:
        connections.append(await connect(self))
        return connections[-1]

    monkeypatch.setattr(NatsBroker, "connect", note)
    running = Consumer(client, server.url(), engine, LETTERS, Heard().hear, stream=STREAM, durable=DURABLE)
    task = asyncio.create_task(running.run())
    await eventually(lambda: _works(running))
    await connections[0].close()
    with pytest.raises(ConnectionLostError):
        async with asyncio.timeout(10):
            await task


PROCESS = """
import asyncio, sys
from chassis.consumer import Consumer
from chassis.core_nats.client import CoreNats
from chassis.postgres import create_engine
from tests.integration.chassis.echo import LETTERS

async def hear(connection, delivery):
    print("heard", flush=True)

async def main(nats_url, database_url):
    async with CoreNats(nats_url, service="operator") as client:
        engine = create_engine(database_url, service="test")
        await Consumer(client, nats_url, engine, LETTERS, hear, stream="ECHO", durable="echo-heard").run()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_frozen_member_keeps_no_more_from_the_others_than_it_had_asked_for(
    client: CoreNats, server: NatsServer, engine: AsyncEngine, publisher: Publisher, url: str
) -> None:
    heard = Heard()
    frozen = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS, server.url(), url, stdout=asyncio.subprocess.PIPE
    )
    assert frozen.stdout is not None
    try:
        await publisher.publish(b"first")
        async with asyncio.timeout(20):
            await frozen.stdout.readuntil(b"heard\n")
        await eventually(publisher.all_settled)
        frozen.send_signal(signal.SIGSTOP)
        async with consuming(client, server, engine, heard.hear) as running:
            await eventually(lambda: _works(running))
            payloads = [str(number).encode() for number in range(20)]
            await publisher.publish(*payloads)
            await eventually(lambda: len(heard.payloads) >= len(payloads) - AHEAD)
            await eventually(lambda: set(heard.payloads) == set(payloads), 30)
    finally:
        frozen.kill()
        await frozen.wait()
