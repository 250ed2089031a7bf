"""The client of core NATS on a real server."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import pytest
from chassis.core_nats.client import CoreNats
from chassis.core_nats.connection import MAX_UNSENT_BYTES
from chassis.core_nats.wire import Message
from local_run.ports import any_free
from local_run.servers.nats_server import NatsServer
from nats.errors import Error, MaxPayloadError, NoRespondersError, OutboundBufferLimitError
from nats.errors import TimeoutError as NatsTimeoutError
from structlog.testing import capture_logs

from tests.integration.chassis.conftest import Connect
from tests.support.eventually import eventually

MAX_PAYLOAD_BYTES = 4 * 1024 * 1024


async def test_a_request_gets_its_answer(client: CoreNats, other: CoreNats) -> None:
    other.subscribe("double", lambda message: other.publish(message.reply, message.payload * 2))
    await other.flush(5)
    answers = await asyncio.gather(*(client.request("double", b"%d " % n, seconds=5) for n in range(200)))
    assert answers == [b"%d %d " % (n, n) for n in range(200)]


async def test_payload_and_headers_arrive_as_they_were(client: CoreNats, other: CoreNats) -> None:
    payload = bytes(range(256)) + b"\r\nPING\r\n"
    arrived: list[Message] = []
    other.subscribe("as.it.was.*", arrived.append)
    await other.flush(5)
    client.publish("as.it.was.1", payload, headers={"Name": "Zoë", "Id": "7"})
    client.publish("as.it.was.2", b"", reply="somewhere")
    await eventually(lambda: len(arrived) == 2)
    first, second = arrived
    assert (first.subject, first.reply, first.payload) == ("as.it.was.1", "", payload)
    assert (first.header("Name"), first.header("Id"), first.status) == ("Zoë", "7", "")
    assert (second.subject, second.reply, second.payload, second.headers) == ("as.it.was.2", "somewhere", b"", b"")


async def test_a_request_that_nobody_listens_to_fails_at_once(client: CoreNats) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(NoRespondersError):
            await client.request("nobody", b"", seconds=60)


async def test_a_request_without_an_answer_ends_in_its_time(client: CoreNats, other: CoreNats) -> None:
    other.subscribe("silence", lambda _: None)
    await other.flush(5)
    async with asyncio.timeout(5):
        with pytest.raises(NatsTimeoutError):
            await client.request("silence", b"", seconds=0.05)


async def test_late_and_second_answers_reach_no_other_request(client: CoreNats, other: CoreNats) -> None:
    asked: list[Message] = []
    other.subscribe("late", asked.append)
    await other.flush(5)
    with pytest.raises(NatsTimeoutError):
        await client.request("late", b"", seconds=0.01)
    given_up = asyncio.create_task(client.request("late", b"", seconds=60))
    await eventually(lambda: len(asked) == 2)
    given_up.cancel()
    await asyncio.wait([given_up])
    waiting = asyncio.create_task(client.request("late", b"", seconds=5))
    await eventually(lambda: len(asked) == 3)
    for message, answer in zip(asked, (b"late", b"cancelled", b"in time"), strict=True):
        other.publish(message.reply, answer)
        other.publish(message.reply, b"again")
    assert await waiting == b"in time"
    assert client.is_connected


async def test_a_queue_group_gives_each_message_to_one(client: CoreNats, connect: Connect, server: NatsServer) -> None:
    first: list[Message] = []
    second: list[Message] = []
    for mine in (first, second):
        member = await connect(server.url())
        member.subscribe("work.*", mine.append, queue="workers")
        await member.flush(5)
    for number in range(200):
        client.publish(f"work.{number}", b"%d" % number)
    await eventually(lambda: len(first) + len(second) >= 200)
    assert sorted(message.payload for message in first + second) == sorted(b"%d" % number for number in range(200))
    assert first
    assert second


async def test_an_ended_subscription_hears_nothing_more(client: CoreNats, other: CoreNats) -> None:
    ended: list[Message] = []
    going_on: list[Message] = []
    subscription = other.subscribe("news", ended.append)
    other.subscribe("news", going_on.append)
    await other.flush(5)
    client.publish("news", b"1")
    await eventually(lambda: ended and going_on)
    await other.unsubscribe(subscription)
    await other.unsubscribe(subscription)
    await other.flush(5)
    client.publish("news", b"2")
    await eventually(lambda: len(going_on) == 2)
    assert len(ended) == 1


async def test_a_handler_that_raises_costs_only_that_message(client: CoreNats, other: CoreNats) -> None:
    handled: list[bytes] = []

    def handle(message: Message) -> None:
        if message.payload == b"bad":
            raise RuntimeError("a defect")
        handled.append(message.payload)

    other.subscribe("work", handle)
    await other.flush(5)
    with capture_logs() as logs:
        for payload in (b"1", b"bad", b"2"):
            client.publish("work", payload)
        await eventually(lambda: handled == [b"1", b"2"])
    assert [entry["event"] for entry in logs] == ["nats_handler_failed"]


async def test_close_sends_what_was_published_just_before(server: NatsServer, other: CoreNats) -> None:
    arrived: list[bytes] = []
    other.subscribe("last.words", lambda message: arrived.append(message.payload))
    await other.flush(5)
    async with CoreNats(server.url(), service="operator") as leaving:
        assert await leaving.wait_connected(5)
        leaving.subscribe(">", lambda _: None)  # its own words come back while it leaves
        for number in range(2_000):
            leaving.publish("last.words", b"%d " % number * 200)
    assert not leaving.is_connected
    await eventually(lambda: len(arrived) == 2_000)


async def test_a_refused_subject_leaves_the_connection_as_it_is(server: NatsServer) -> None:
    with capture_logs() as logs:
        async with CoreNats(server.url("gateway"), service="gateway") as client:
            assert await client.wait_connected(5)
            client.publish("solaris.ledger.credits_granted.ana", b"{}")
            client.subscribe("solaris.ledger.>", lambda _: None)
            with pytest.raises(NoRespondersError):
                await client.request("solaris.rpc.ledger.read.ready", b"", seconds=5)
            assert client.is_connected
    assert [entry["event"] for entry in logs] == ["nats_connected", "nats_refused"]
    assert "permissions violation" in logs[1]["error"].lower()


@pytest.mark.parametrize("headers", [None, {"Name": "value"}])
async def test_a_message_of_more_than_the_server_takes_is_refused_here(
    client: CoreNats, other: CoreNats, headers: dict[str, str] | None
) -> None:
    arrived: list[Message] = []
    other.subscribe("large", arrived.append)
    await other.flush(5)
    header_bytes = len(b"NATS/1.0\r\nName: value\r\n\r\n") if headers else 0
    largest = MAX_PAYLOAD_BYTES - header_bytes
    with pytest.raises(MaxPayloadError):
        client.publish("large", b"x" * (largest + 1), headers=headers)
    client.publish("large", b"x" * largest, headers=headers)
    await eventually(lambda: arrived)
    assert len(arrived[0].payload) == largest
    assert client.is_connected


async def test_what_one_turn_of_the_loop_publishes_is_bounded(client: CoreNats, other: CoreNats) -> None:
    arrived: list[Message] = []
    other.subscribe("bulk", arrived.append)
    await other.flush(5)
    payload = b"x" * 64 * 1024
    for _ in range(MAX_UNSENT_BYTES // len(payload)):
        client.publish("bulk", payload)
    with pytest.raises(OutboundBufferLimitError):
        client.publish("bulk", payload)
    await eventually(lambda: len(arrived) == MAX_UNSENT_BYTES // len(payload))
    await client.flush(5)


async def test_a_subject_that_is_none_is_refused_here(client: CoreNats) -> None:
    for subject in ("", "two words", "line\r\n"):
        with pytest.raises(ValueError, match="one word"):
            client.publish(subject, b"")
        with pytest.raises(ValueError, match="one word"):
            await client.request(subject, b"", seconds=5)
        with pytest.raises(ValueError, match="one word"):
            client.subscribe(subject, lambda _: None)
    await client.flush(5)


async def test_a_wrong_password_never_connects(server: NatsServer, client: CoreNats) -> None:
    with capture_logs() as logs:
        async with CoreNats(server.url().replace("operator-password", "wrong"), service="operator") as refused:
            assert not await refused.wait_connected(0.7)
            with pytest.raises(Error):
                refused.publish("anything", b"")
    assert [entry["event"] for entry in logs] == ["nats_refused"]
    assert "wrong" not in str(logs)


@pytest.mark.parametrize("url", ["", "localhost:4222", "http://localhost", "nats://", "nats://host:port"])
def test_what_is_no_nats_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"nats://|address|[Pp]ort"):
        CoreNats(url, service="operator")


async def test_without_a_connection_everything_fails_at_once() -> None:
    client = CoreNats("nats://127.0.0.1:1", service="operator")
    client.subscribe("anything", lambda _: None)
    with pytest.raises(Error):
        client.publish("anything", b"")
    with pytest.raises(Error):
        await client.request("anything", b"", seconds=60)
    with pytest.raises(Error):
        await client.flush(60)
    await client.writable()
    assert not await client.wait_connected(0.01)


async def test_of_several_servers_the_first_that_answers_is_taken(nats_url: str) -> None:
    user = urlsplit(nats_url)._replace(netloc=urlsplit(nats_url).netloc.rpartition(":")[0] + f":{any_free()}")
    several = f"{urlunsplit(user)}, {nats_url}"
    async with CoreNats(several, service="t") as client:
        assert await client.wait_connected(10)
