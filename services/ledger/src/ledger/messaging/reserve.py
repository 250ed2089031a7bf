"""Answers `reserve` requests: a message becomes a command, an outcome becomes an answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog
from chassis.core_nats.client import CoreNats
from chassis.core_nats.wire import Message
from contracts import subjects
from contracts.accounts import subject_token
from contracts.codec import DECODE_ERRORS, encode, fault_of
from contracts.errors import RefusalCode, UnavailableError
from contracts.reservations import Granted, Refused, ReserveAnswer, ReserveRequest
from msgspec import json
from nats.errors import Error as NatsError

from ledger.application.content import reserve_hash
from ledger.application.executor import BusyError, Executor
from ledger.application.profiles import Profiles
from ledger.application.submission import Kind
from ledger.domain.commands import ReserveTokens
from ledger.domain.decision import Answer
from ledger.metrics import REFUSED

log = structlog.get_logger()

_parse: Final = json.Decoder(ReserveRequest).decode


class ReserveResponder:
    """Has no task for a request, as a `Responder` has: the executor's bounded queue is where they wait."""

    def __init__(self, client: CoreNats, executor: Executor, profiles: Profiles) -> None:
        self._client = client
        self._executor = executor
        self._profiles = profiles

    @contextlib.asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Take requests in the block; those that are in the executor then are still answered.

        One process gets a request; one that was not answered is asked again of all, and ids make that harmless.
        """
        subscriptions = [
            self._client.subscribe(f"{subjects.RESERVE_PREFIX}.*", self._receive, queue=subjects.LEDGER_QUEUE),
            self._client.subscribe(f"{subjects.RESERVE_AGAIN_PREFIX}.*", self._receive),
        ]
        try:
            yield
        finally:
            await self._client.unsubscribe(*subscriptions)

    def _receive(self, message: Message) -> None:
        try:
            request = _parse(message.payload)
        except DECODE_ERRORS as error:
            log.warning("reserve_invalid", error=fault_of(error))
            self._refuse(message.reply, "", RefusalCode.INVALID_REQUEST)
            return
        if message.subject.rpartition(".")[2] != subject_token(request.account_id):
            self._refuse(message.reply, request.reservation_id, RefusalCode.INVALID_REQUEST)
            return
        now = self._executor.clock.hold_time() or datetime.now(UTC)
        seconds_left = (request.deadline - now).total_seconds()
        if seconds_left <= 0:
            self._refuse(message.reply, request.reservation_id, RefusalCode.LATE)
            return
        if request.profile is not None:
            self._profiles.learn(request.account_id, request.profile)
        try:
            answer = self._executor.submit(
                _command(request), Kind.RESERVE, deadline_seconds=seconds_left, key_id=request.key_id
            )
        except BusyError:
            self._refuse(message.reply, request.reservation_id, RefusalCode.BUSY)
            return
        answer.add_done_callback(partial(self._answer, message.reply, request))

    def _answer(self, reply_subject: str, request: ReserveRequest, future: asyncio.Future[Answer]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is not None:
            code = RefusalCode.LEDGER_UNAVAILABLE
            if not isinstance(error, UnavailableError):
                log.error("reserve_failed", error=repr(error), reservation_id=request.reservation_id)
                code = RefusalCode.INVALID_REQUEST
            self._refuse(reply_subject, request.reservation_id, code)
            return
        match future.result():
            case Granted() as granted:
                self._reply(reply_subject, ReserveAnswer(granted=granted))
            case Refused() as refused:
                self._reply_refused(reply_subject, self._profiles.localised(request.account_id, refused))
            case _:
                self._refuse(reply_subject, request.reservation_id, RefusalCode.INVALID_REQUEST)

    def _refuse(self, reply_subject: str, reservation_id: str, code: RefusalCode) -> None:
        self._reply_refused(reply_subject, Refused(reservation_id=reservation_id, code=code))

    def _reply_refused(self, reply_subject: str, refused: Refused) -> None:
        REFUSED.labels(refused.code.value).inc()
        self._reply(reply_subject, ReserveAnswer(refused=refused))

    def _reply(self, reply_subject: str, answer: ReserveAnswer) -> None:
        """Send an answer. One that can't be sent is dropped: the asker asks again with the same id."""
        try:
            self._client.publish(reply_subject, encode(answer))
        except (NatsError, ValueError) as error:
            log.warning("reply_dropped", error=repr(error))


def _command(request: ReserveRequest) -> ReserveTokens:
    return ReserveTokens(
        account_id=request.account_id,
        reservation_id=request.reservation_id,
        model=request.model,
        endpoint=request.endpoint,
        prompt_tokens=request.prompt_tokens,
        content_hash=reserve_hash(request),
        maximum_output_tokens=request.maximum_output_tokens,
        model_output_tokens=request.model_output_tokens,
        thinking_tokens=request.thinking_tokens,
        choices=request.choices,
        output_free=request.output_free,
        observed=request.observed,
    )
