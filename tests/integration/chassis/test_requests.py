"""A request gets one answer in its time, or a name for why there is none; who answers never takes on too much."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from chassis import responder
from chassis.core_nats.client import CoreNats
from chassis.core_nats.wire import Message
from chassis.requests import AskError, NoAnswerError, NobodyListensError, UnusableAnswerError, ask
from chassis.responder import Responder
from msgspec import Struct, json

from tests.support.eventually import eventually


class Echo(Struct):
    said: str = ""
    error: str | None = None


type Say = Callable[[Message], Awaitable[Echo]]
decode = json.Decoder(Echo).decode


async def echo(message: Message) -> Echo:
    return Echo(said=f"{message.subject}: {message.payload.decode()}")


class Held:
    """Answers once it is let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.let_go = asyncio.Event()

    async def __call__(self, message: Message) -> Echo:
        self.begun.append(message.payload.decode())
        await self.let_go.wait()
        return await echo(message)


async def answering(closing: AsyncExitStack, client: CoreNats, say: Say) -> Responder:
    started = await closing.enter_async_context(Responder(client, {"echo.*": say}, queue="echo"))
    await client.flush(5)
    return started


async def test_what_is_asked_is_answered_once(client: CoreNats, other: CoreNats, closing: AsyncExitStack) -> None:
    for _ in range(2):
        await answering(closing, other, echo)
    answers = await asyncio.gather(*(ask(client, f"echo.{n}", decode, seconds=5, payload=b"%d" % n) for n in range(50)))
    assert answers == [Echo(f"echo.{n}: {n}") for n in range(50)]


async def test_where_nobody_listens_that_is_known_at_once(client: CoreNats) -> None:
    with pytest.raises(NobodyListensError):
        await ask(client, "nobody", decode, seconds=60)


async def test_without_an_answer_or_a_connection_nobody_knows_whether_it_was_heard(
    client: CoreNats, other: CoreNats
) -> None:
    other.subscribe("silence", lambda _: None)
    await other.flush(5)
    with pytest.raises(NoAnswerError):
        await ask(client, "silence", decode, seconds=0.05)
    with pytest.raises(NoAnswerError):
        await ask(CoreNats("nats://127.0.0.1:1", service="t"), "silence", decode, seconds=60)


@pytest.mark.parametrize("nonsense", [b"", b"\xff", b'{"said": 7, "private": "ana"}', b"[" * 100_000])
async def test_an_answer_of_another_kind_is_nonsense_and_is_not_quoted(
    client: CoreNats, other: CoreNats, nonsense: bytes
) -> None:
    other.subscribe("nonsense", lambda message: other.publish(message.reply, nonsense))
    await other.flush(5)
    with pytest.raises(UnusableAnswerError) as caught:
        await ask(client, "nonsense", decode, seconds=5)
    assert "ana" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("error", [OSError("gone"), KeyError("defect")])
async def test_an_error_is_part_of_the_answer(
    client: CoreNats, other: CoreNats, closing: AsyncExitStack, error: Exception
) -> None:
    async def fail(_: Message) -> Echo:
        raise error

    await answering(closing, other, fail)
    answer = await ask(client, "echo.1", decode, seconds=5)
    assert answer.error is not None
    assert type(error).__name__ in answer.error


async def test_what_takes_too_long_is_told_as_an_error(
    client: CoreNats, other: CoreNats, closing: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responder, "ANSWER_SECONDS", 0.05)
    await answering(closing, other, Held())
    assert (await ask(client, "echo.1", decode, seconds=5)).error is not None


async def test_what_finds_all_slots_taken_waits_and_of_too_many_the_oldest_is_dropped(
    client: CoreNats, other: CoreNats, closing: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responder, "MAX_WAITING", 3)
    held = Held()
    await answering(closing, other, held)
    asked = [
        asyncio.create_task(ask(client, "echo.1", decode, seconds=1, payload=b"%d" % n))
        for n in range(responder.SLOTS + 5)
    ]
    await eventually(lambda: len(held.begun) == responder.SLOTS)
    await client.flush(5)
    await other.flush(5)
    held.let_go.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    dropped = [n for n, answer in enumerate(answers) if isinstance(answer, AskError)]
    assert dropped == [responder.SLOTS, responder.SLOTS + 1]
    assert len(held.begun) == responder.SLOTS + 3


async def test_what_has_waited_longer_than_whoever_asked_it_is_not_begun(
    client: CoreNats, other: CoreNats, closing: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responder, "ANSWER_SECONDS", 0.1)
    begun: list[Message] = []

    async def stuck(message: Message) -> Echo:
        begun.append(message)
        time.sleep(0.2)  # noqa: ASYNC251  a loop that is late, as on a machine with too much to do
        return Echo()

    await answering(closing, other, stuck)
    asked = [asyncio.create_task(ask(client, "echo.1", decode, seconds=0.5)) for _ in range(20)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, NoAnswerError) for answer in answers) == len(answers) - len(begun) > 10


async def test_a_stop_answers_what_has_come_and_takes_nothing_new(client: CoreNats, other: CoreNats) -> None:
    held = Held()
    async with AsyncExitStack() as closing:
        await answering(closing, other, held)
        asked = [asyncio.create_task(ask(client, "echo.1", decode, seconds=5)) for _ in range(responder.SLOTS + 2)]
        await eventually(lambda: len(held.begun) == responder.SLOTS)
        stopping = asyncio.create_task(closing.aclose())
        await asyncio.sleep(0)
        await other.flush(5)
        with pytest.raises(NobodyListensError):
            await ask(client, "echo.2", decode, seconds=5)
        held.let_go.set()
        await stopping
    assert [answer.said for answer in await asyncio.gather(*asked)] == ["echo.1: "] * len(asked)


async def test_a_stop_waits_no_longer_for_an_answer_than_whoever_asked(
    client: CoreNats, other: CoreNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responder, "ANSWER_SECONDS", 0.05)
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def held_by_a_driver(_: Message) -> Echo:
        begun.set()
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await let_go.wait()
        return Echo()

    try:
        async with asyncio.timeout(5), AsyncExitStack() as closing:
            await answering(closing, other, held_by_a_driver)
            client.publish("echo.1", b"")
            await begun.wait()
    finally:
        let_go.set()


async def test_no_request_is_lost_on_its_way_to_who_stops(client: CoreNats, other: CoreNats) -> None:
    for _ in range(20):
        async with AsyncExitStack() as closing:
            await answering(closing, other, echo)
            asked = [asyncio.create_task(ask(client, "echo.1", decode, seconds=1)) for _ in range(200)]
            await asyncio.sleep(0)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [answer for answer in answers if not isinstance(answer, Echo | NobodyListensError)] == []


async def test_a_request_that_wants_no_answer_harms_nobody(
    client: CoreNats, other: CoreNats, closing: AsyncExitStack
) -> None:
    await answering(closing, other, echo)
    client.publish("echo.1", b"")
    assert (await ask(client, "echo.2", decode, seconds=5)).said == "echo.2: "


async def test_a_request_that_comes_just_as_all_slots_end_is_answered_too(
    closing: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    unconnected = CoreNats("nats://127.0.0.1:1", service="t")
    receive: list[Callable[[Message], None]] = []
    monkeypatch.setattr(unconnected, "subscribe", lambda _, handler, **__: receive.append(handler))
    held = Held()
    await closing.enter_async_context(Responder(unconnected, {"echo.*": held}, queue="echo"))
    for _ in range(responder.SLOTS):
        receive[0](Message("echo.1", "", b""))
    await eventually(lambda: len(held.begun) == responder.SLOTS)
    held.let_go.set()
    # The loop now runs all slots to their end; what is called here follows at once.
    asyncio.get_running_loop().call_soon(receive[0], Message("echo.1", "", b"last"))
    await eventually(lambda: held.begun[-1] == "last", 1)


async def test_an_answer_that_can_t_be_written_is_told_as_an_error_and_costs_no_slot(
    client: CoreNats, other: CoreNats, closing: AsyncExitStack
) -> None:
    async def unwritable(_: Message) -> object:
        return object()

    await closing.enter_async_context(Responder(other, {"echo.*": unwritable}, queue="echo"))
    await other.flush(5)
    for _ in range(responder.SLOTS + 1):
        assert (await ask(client, "echo.1", decode, seconds=5)).error is not None
