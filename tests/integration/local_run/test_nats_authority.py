"""Each service can do its own work on NATS and nobody else's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import nats
import nats.errors
import pytest
import pytest_asyncio
from chassis.core_nats.client import CoreNats
from chassis.jetstream import Message, publish_in_order
from chassis.provisioning import provision
from chassis.responder import Responder
from contracts import subjects
from contracts.reads import ReadyAnswer
from contracts.topology import CONSUMERS, STREAMS
from ledger.operate.executing import ask_ledger
from local_run.parts import Service
from local_run.servers.nats_authority import USERS, nats_users
from local_run.servers.nats_server import NatsServer, running_nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy

from tests.support.eventually import eventually
from tests.support.infrastructure import core_nats

SERVICES = ("ledger", "projector", "gateway", "notifier", "billing")


@pytest_asyncio.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    async with running_nats(tmp_path_factory.mktemp("authority") / "nats") as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def clients(server: NatsServer) -> AsyncIterator[dict[str, Client]]:
    opened = {
        name: await nats.connect(server.url(name), inbox_prefix=f"_INBOX_{name}") for name in (*SERVICES, "operator")
    }
    yield opened
    for client in opened.values():
        await client.close()


@pytest_asyncio.fixture(scope="module")
async def services(server: NatsServer) -> AsyncIterator[dict[str, CoreNats]]:
    """The clients of the services' own; streams are there."""
    async with AsyncExitStack() as stack:
        opened = {}
        for name in ("ledger", "gateway"):
            opened[name] = await stack.enter_async_context(core_nats(server.url(name), service=name))
        await provision(opened["ledger"], STREAMS, CONSUMERS)
        yield opened


async def test_the_ledger_provisions_and_publishes_and_reads_usage(
    clients: dict[str, Client], services: dict[str, CoreNats]
) -> None:
    ledger = clients["ledger"]
    usage = [Message("solaris.usage.recorded.ana", b"{}", f"u{n}") for n in range(3)]
    assert await publish_in_order(services["gateway"], usage) >= 3
    subscription = await ledger.jetstream().pull_subscribe_bind(
        durable=subjects.LEDGER_USAGE_CONSUMER, stream=subjects.USAGE_STREAM
    )
    messages = await subscription.fetch(3, timeout=5)
    for message in messages:
        await message.ack_sync(timeout=5)
    assert len(messages) == 3
    events = [Message("solaris.ledger.usage_settled.ana", b"{}", f"l{n}") for n in range(2)]
    assert await publish_in_order(services["ledger"], events) >= 2
    assert (await ledger.jetstream().stream_info("USAGE")).state.messages >= 3


async def test_the_notifier_reads_its_events_and_acknowledges_them(
    clients: dict[str, Client], services: dict[str, CoreNats]
) -> None:
    await publish_in_order(services["ledger"], [Message("solaris.ledger.threshold_crossed.ana", b"{}", "t1")])
    subscription = (
        await clients["notifier"]
        .jetstream()
        .pull_subscribe_bind(durable=subjects.NOTIFIER_LEDGER_CONSUMER, stream=subjects.LEDGER_STREAM)
    )
    (message,) = await subscription.fetch(1, timeout=5)
    await message.ack_sync(timeout=5)


@pytest.mark.parametrize(
    ("asker", "subject"),
    [
        ("gateway", f"{subjects.RESERVE_PREFIX}.ana"),
        ("gateway", f"{subjects.RESERVE_AGAIN_PREFIX}.ana"),
        ("gateway", subjects.READ_READY),
        ("notifier", f"{subjects.READ_PROFILE_PREFIX}.ana"),
        ("notifier", f"{subjects.READ_BALANCE_PREFIX}.ana"),
        ("operator", f"{subjects.READ_BALANCE_PREFIX}.ana"),
    ],
)
async def test_the_ledger_answers_those_who_may_ask(clients: dict[str, Client], asker: str, subject: str) -> None:
    async def answer(message: Msg) -> None:
        await message.respond(b"yes")

    subscription = await clients["ledger"].subscribe(subject, cb=answer)
    for _ in range(2):  # nats-py 2.16 sends a flush's PING past what waits to be sent: only the second one is after it
        await clients["ledger"].flush()
    try:
        assert (await clients[asker].request(subject, b"", timeout=5)).data == b"yes"
    finally:
        await subscription.unsubscribe()


async def test_the_ledger_answers_an_operators_command(server: NatsServer, services: dict[str, CoreNats]) -> None:
    async def ready(_: object) -> ReadyAnswer:
        return ReadyAnswer(ready=True)

    async with Responder(services["ledger"], {subjects.READ_READY: ready}, queue=subjects.LEDGER_QUEUE):
        await services["ledger"].flush(5)
        answer = await ask_ledger(server.url("operator"))
    assert answer is not None
    assert answer.ready


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("gateway", "solaris.ledger.credits_granted.ana"),
        ("gateway", "solaris.billing.credits_purchased.ana"),
        ("gateway", "$JS.API.STREAM.DELETE.USAGE"),
        ("gateway", "$JS.API.CONSUMER.MSG.NEXT.USAGE.ledger-usage"),
        ("gateway", "_INBOX_notifier.x"),
        ("gateway", f"{subjects.READ_PROFILE_PREFIX}.ana"),
        ("gateway", f"{subjects.READ_BALANCE_PREFIX}.ana"),
        ("gateway", "solaris.rpc.ledger.anything"),
        ("notifier", f"{subjects.RESERVE_AGAIN_PREFIX}.ana"),
        ("notifier", "solaris.ledger.credits_granted.ana"),
        ("notifier", "solaris.usage.recorded.ana"),
        ("notifier", f"{subjects.RESERVE_PREFIX}.ana"),
        ("notifier", "$JS.API.STREAM.PURGE.LEDGER"),
        ("ledger", "solaris.usage.recorded.ana"),
        ("ledger", "solaris.billing.credits_purchased.ana"),
        ("ledger", "$JS.API.STREAM.DELETE.LEDGER"),
        ("ledger", "$JS.API.STREAM.UPDATE.LEDGER"),
    ],
)
async def test_what_is_not_a_services_own_to_say_is_refused(server: NatsServer, user: str, subject: str) -> None:
    assert "permissions violation" in await _refusal(server, user, lambda client: client.publish(subject, b"{}"))


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("gateway", "solaris.ledger.>"),
        ("gateway", "_INBOX_notifier.>"),
        ("gateway", "solaris.rpc.ledger.reserve.>"),
        ("notifier", "_INBOX_gateway.>"),
        ("notifier", ">"),
        ("ledger", "_INBOX_gateway.>"),
        ("billing", "solaris.ledger.>"),
        ("billing", "solaris.ledger.credits_granted.*"),
    ],
)
async def test_what_is_not_a_services_own_to_hear_is_refused(server: NatsServer, user: str, subject: str) -> None:
    assert "permissions violation" in await _refusal(server, user, lambda client: client.subscribe(subject))


async def _refusal(server: NatsServer, user: str, act: Callable[[Client], Awaitable[object]]) -> str:
    errors: list[str] = []

    async def failed(error: Exception) -> None:
        errors.append(str(error).lower())

    client = await nats.connect(server.url(user), error_cb=failed, inbox_prefix=f"_INBOX_{user}", allow_reconnect=False)
    try:
        await act(client)
        return await eventually(lambda: errors[0] if errors else None, 5)
    finally:
        await client.close()


async def test_nobody_gets_in_without_a_password(server: NatsServer) -> None:
    async def quiet(_: Exception) -> None:
        await asyncio.sleep(0)

    for url in (f"nats://127.0.0.1:{server.port}", f"nats://ledger:wrong@127.0.0.1:{server.port}"):
        with pytest.raises(nats.errors.Error):
            await nats.connect(url, allow_reconnect=False, max_reconnect_attempts=1, error_cb=quiet)


def test_every_service_has_a_user() -> None:
    assert {user.name for user in USERS} == {"operator", *SERVICES}


async def test_a_service_without_rights_may_say_nothing(tmp_path: Path) -> None:
    users = nats_users([Service(name="plain", port=8005)])
    async with running_nats(tmp_path / "nats", users=users) as server:
        for subject in ("solaris.usage.recorded.ana", "_INBOX_operator.x"):
            assert "permissions violation" in await _refusal(server, "plain", lambda to: to.publish(subject, b"{}"))  # noqa: B023  run at once


async def test_the_ledger_may_have_a_full_stream_of_usage_refuse_what_is_new_and_change_no_other(
    clients: dict[str, Client], services: dict[str, CoreNats]
) -> None:
    """As it finds the stream in a folder of an older release."""
    operator = clients["operator"].jetstream()
    made = (await operator.stream_info(subjects.USAGE_STREAM)).config
    await operator.update_stream(made.evolve(discard=DiscardPolicy.OLD))
    await provision(services["ledger"], STREAMS, CONSUMERS)
    assert (await operator.stream_info(subjects.USAGE_STREAM)).config.discard == DiscardPolicy.NEW


async def test_who_may_not_change_a_stream_goes_on_with_it_as_it_is(
    clients: dict[str, Client], services: dict[str, CoreNats]
) -> None:
    operator = clients["operator"].jetstream()
    made = (await operator.stream_info(subjects.USAGE_STREAM)).config
    await operator.update_stream(made.evolve(discard=DiscardPolicy.OLD))
    usage = [stream for stream in STREAMS if stream.name == subjects.USAGE_STREAM]
    try:
        assert await provision(services["gateway"], usage, ()) == []
    finally:
        await operator.update_stream(made)


ASKED_OR_TOLD = (
    f"{subjects.RESERVE_PREFIX}.ana",
    f"{subjects.RESERVE_AGAIN_PREFIX}.ana",
    f"{subjects.READ_BALANCE_PREFIX}.ana",
    f"{subjects.READ_PROFILE_PREFIX}.ana",
    subjects.READ_READY,
    "solaris.rpc.ledger.read.events.ana",
    "solaris.rpc.ledger.admin.ana",
    "solaris.usage.recorded.ana",
    subjects.REQUESTS_ENDED,
    "solaris.ledger.credits_granted.ana",
    "solaris.billing.credits_purchased.ana",
    "solaris.deadletter.ledger.x",
    *(f"_INBOX_{service}.x" for service in ("operator", *SERVICES)),
    *(
        f"$JS.API.STREAM.{verb}.{stream.name}"
        for verb in (
            "DELETE",
            "PURGE",
            "UPDATE",
            "MSG.DELETE",
            "MSG.GET",
            "INFO",
            "CREATE",
            "SNAPSHOT",
            "LEADER.STEPDOWN",
        )
        for stream in STREAMS
    ),
    *(
        f"$JS.API.CONSUMER.{verb}.{consumer.stream}.{consumer.durable_name}"
        for verb in ("DELETE", "INFO", "CREATE", "DURABLE.CREATE", "MSG.NEXT")
        for consumer in CONSUMERS
    ),
    "$JS.API.ACCOUNT.PURGE.x",
    "$SYS.REQ.SERVER.PING",
)
MAY = {
    "gateway": {
        f"{subjects.RESERVE_PREFIX}.ana",
        f"{subjects.RESERVE_AGAIN_PREFIX}.ana",
        subjects.READ_READY,
        "solaris.usage.recorded.ana",
        subjects.REQUESTS_ENDED,
        "$JS.API.STREAM.INFO.USAGE",
    },
    "projector": {
        f"$JS.API.CONSUMER.{verb}.{stream}.{durable}"
        for verb in ("INFO", "MSG.NEXT")
        for stream, durable in (
            (subjects.BILLING_STREAM, subjects.PROJECTOR_BILLING_CONSUMER),
            (subjects.REQUESTS_STREAM, subjects.PROJECTOR_REQUESTS_CONSUMER),
        )
    },
    "notifier": {
        f"{subjects.READ_BALANCE_PREFIX}.ana",
        f"{subjects.READ_PROFILE_PREFIX}.ana",
        subjects.READ_READY,
        "solaris.deadletter.ledger.x",
        "$JS.API.CONSUMER.INFO.LEDGER.notifier-ledger",
        "$JS.API.CONSUMER.MSG.NEXT.LEDGER.notifier-ledger",
        "$JS.API.CONSUMER.INFO.BILLING.notifier-billing",
        "$JS.API.CONSUMER.MSG.NEXT.BILLING.notifier-billing",
    },
    "billing": {
        f"{subjects.READ_BALANCE_PREFIX}.ana",
        "solaris.billing.credits_purchased.ana",
        "solaris.deadletter.ledger.x",
    },
    "ledger": {
        "solaris.ledger.credits_granted.ana",
        "solaris.deadletter.ledger.x",
        *(f"_INBOX_{asker}.x" for asker in ("operator", *SERVICES)),
        *(f"$JS.API.STREAM.{verb}.{stream.name}" for verb in ("INFO", "CREATE") for stream in STREAMS),
        "$JS.API.STREAM.UPDATE.USAGE",
        *(
            f"$JS.API.CONSUMER.{verb}.{consumer.stream}.{consumer.durable_name}"
            for verb in ("INFO", "DURABLE.CREATE")
            for consumer in CONSUMERS
        ),
        "$JS.API.CONSUMER.MSG.NEXT.USAGE.ledger-usage",
        "$JS.API.CONSUMER.MSG.NEXT.BILLING.ledger-billing",
    },
}


@pytest.mark.parametrize("user", MAY)
async def test_of_all_that_can_be_asked_or_told_a_service_may_what_it_needs(server: NatsServer, user: str) -> None:
    refused: set[str] = set()

    async def failed(error: Exception) -> None:
        refused.update(subject for subject in ASKED_OR_TOLD if f'"{subject.lower()}"' in str(error).lower())

    client = await nats.connect(server.url(user), error_cb=failed, inbox_prefix=f"_INBOX_{user}")
    try:
        for subject in ASKED_OR_TOLD:
            await client.publish(subject, b"{}", reply=f"_INBOX_{user}.nobody")
        await eventually(lambda: refused == set(ASKED_OR_TOLD) - MAY[user], 10)
    finally:
        await client.close()
