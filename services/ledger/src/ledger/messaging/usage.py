"""Reads `usage.recorded` from JetStream in batches and acknowledges after the commit."""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

import structlog
from chassis.core_nats.client import CoreNats
from chassis.core_nats.wire import Message
from chassis.dead_letters import GivenUp, PoisonError
from chassis.jetstream import SLICE
from chassis.postgres import DATABASE_ERRORS
from chassis.pull import PullEndedError, Puller
from contracts import subjects
from contracts.accounts import subject_token
from contracts.codec import DECODE_ERRORS, fault_of
from contracts.envelope import MESSAGE_ID_HEADER, event_decoder
from contracts.errors import SolarisError, UnavailableError
from contracts.events.usage import UsageRecorded
from nats.errors import Error as NatsError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.application.content import usage_hash
from ledger.application.executor import BusyError, Executor
from ledger.application.submission import Kind
from ledger.domain.commands import SettleUsage
from ledger.domain.decision import Answer
from ledger.metrics import DEAD_LETTERS
from ledger.store.dead_letters import LETTERS

log = structlog.get_logger()

FETCH_SIZE: Final = 500
RETRY_SECONDS: Final = 0.5
CONNECTED_SECONDS: Final = 30.0
"""After so long without NATS the log says again that no usage is read."""
_parse: Final = event_decoder(UsageRecorded).decode


def parse_usage(subject: str, payload: bytes) -> tuple[str, SettleUsage]:
    """The causing message's id and the command.

    Raises:
        PoisonError: not a `usage.recorded` event, or its subject names another account.
    """
    try:
        event = _parse(payload)
    except DECODE_ERRORS as error:
        raise PoisonError(fault_of(error)) from error
    if subject.rpartition(".")[2] != subject_token(event.subject):
        raise PoisonError(f"published on {subject}, which is not the subject of account {event.subject}")
    return event.id, SettleUsage(account_id=event.subject, usage=event.data, content_hash=usage_hash(event.data))


class UsageConsumer:
    """Fetches no more than the executor drains; acknowledges a message when its effect, or its dead letter, stands."""

    def __init__(
        self,
        client: CoreNats,
        executor: Executor,
        engine: AsyncEngine,
        make_streams: Callable[[], Awaitable[object]],
    ) -> None:
        self._client = client
        self._executor = executor
        self._engine = engine
        self._make_streams = make_streams

    async def run(self) -> None:
        """Consume until cancelled; whatever breaks (server gone, stream deleted) is waited out and bound anew."""
        while True:
            await self._client.wait_connected(CONNECTED_SECONDS)
            try:
                await self._make_streams()
                await self._consume()
            except (NatsError, PullEndedError, *DATABASE_ERRORS) as error:
                log.warning("usage_consumer_interrupted", error=repr(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _consume(self) -> None:
        async with Puller(
            self._client, subjects.USAGE_STREAM, subjects.LEDGER_USAGE_CONSUMER, batch=FETCH_SIZE
        ) as puller:
            while True:
                if messages := await puller.next():
                    await self._settle(puller, messages)

    async def _settle(self, puller: Puller, messages: list[Message]) -> None:
        settling: list[tuple[Message, asyncio.Future[Answer]]] = []
        for number, message in enumerate(messages, start=1):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            try:
                causation_id, command = parse_usage(message.subject, message.payload)
            except PoisonError as error:
                await self._give_up(puller, message, str(error))
                continue
            settling.append((message, await self._submit(command, causation_id)))
        for number, (message, future) in enumerate(settling, start=1):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            try:
                await future
            except UnavailableError:
                puller.put_back(message, RETRY_SECONDS)
            except SolarisError as error:
                await self._give_up(puller, message, str(error))
            else:
                puller.acknowledge(message)

    async def _submit(self, command: SettleUsage, causation_id: str) -> asyncio.Future[Answer]:
        while True:
            try:
                return self._executor.submit(command, Kind.USAGE, causation_id=causation_id)
            except BusyError:
                await asyncio.sleep(0.02)

    async def _give_up(self, puller: Puller, message: Message, reason: str) -> None:
        """Keep payload and reason, and only then take the message off the queue."""
        message_id = message.header(MESSAGE_ID_HEADER) or sha256(message.payload).hexdigest()
        letter = GivenUp(
            consumer=subjects.LEDGER_USAGE_CONSUMER,
            message_id=message_id,
            subject=message.subject,
            payload=message.payload,
            reason=reason,
        )
        if await LETTERS.keep(self._engine, letter) is not None:
            DEAD_LETTERS.inc()
        puller.terminate(message)
