"""Answers requests, so many at once, each within a time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, Self

import structlog
from msgspec import Struct, json
from nats.errors import Error as NatsError

from chassis.core_nats.client import CoreNats
from chassis.core_nats.wire import Message
from chassis.postgres import DATABASE_ERRORS

log = structlog.get_logger()

SLOTS: Final = 8
MAX_WAITING: Final = 256
ANSWER_SECONDS: Final = 2.0
_encode: Final = json.Encoder().encode

type Answer = Callable[[Message], Awaitable[object]]
type Answers = Mapping[str, Answer]
"""By subject: what is done with a request, returning what is sent as JSON."""


class Failed(Struct, frozen=True):
    """Sent where an answer failed: every kind of answer has this field, and may be made of it alone."""

    error: str


class Responder:
    """`answers` by subject; of all processes with the same `queue` one gets a request.

    `SLOTS` are answered at once and `MAX_WAITING` wait; of more, the oldest is dropped. `ANSWER_SECONDS` after it came
    a request is given up: whoever asked waits for it no longer, and what has not begun is not begun.
    """

    def __init__(self, client: CoreNats, answers: Answers, *, queue: str) -> None:
        self._client = client
        self._answers = answers
        self._queue = queue
        self._subscriptions: list[bytes] = []
        self._waiting: deque[tuple[Answer, Message, float]] = deque(maxlen=MAX_WAITING)
        self._free_slots = SLOTS
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._subscriptions = [
            self._client.subscribe(subject, partial(self._receive, answer), queue=self._queue)
            for subject, answer in self._answers.items()
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take no new request, and answer those that have come."""
        await self._client.unsubscribe(*self._subscriptions)
        if self._tasks:  # a driver may not let go of one that is out of time while its database is frozen
            await asyncio.wait(self._tasks, timeout=ANSWER_SECONDS)

    def _receive(self, answer: Answer, message: Message) -> None:
        deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
        if self._free_slots == 0:
            self._waiting.append((answer, message, deadline))
            return
        self._free_slots -= 1
        task = asyncio.create_task(self._take_slot(answer, message, deadline))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_slot(self, answer: Answer, message: Message, deadline: float) -> None:
        await self._respond(answer, message, deadline)
        while self._waiting:
            await self._respond(*self._waiting.popleft())
        self._free_slots += 1

    async def _respond(self, answer: Answer, message: Message, deadline: float) -> None:
        if asyncio.get_running_loop().time() >= deadline:
            return
        payload = await self._result(answer, message, deadline)
        try:
            self._client.publish(message.reply, payload)
        except (NatsError, ValueError) as error:  # no connection, or no subject to answer on
            log.warning("answer_dropped", subject=message.subject, error=repr(error))

    async def _result(self, answer: Answer, message: Message, deadline: float) -> bytes:
        try:
            async with asyncio.timeout_at(deadline):
                return _encode(await answer(message))
        except DATABASE_ERRORS as error:
            log.warning("request_failed", subject=message.subject, error=repr(error))
            return _encode(Failed(f"the store does not answer: {type(error).__name__}"))
        except Exception as error:  # whoever asks must be told
            log.exception("request_failed", subject=message.subject)
            return _encode(Failed(f"failed: {type(error).__name__}"))
