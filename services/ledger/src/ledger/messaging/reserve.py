"""Answers `reserve` requests: a message becomes a command, an outcome becomes an answer."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog
from contracts import subjects
from contracts.accounts import subject_token
from contracts.errors import RefusalCode, UnavailableError
from contracts.reservations import Granted, Refused, ReserveAnswer, ReserveTokens
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from pydantic import TypeAdapter, ValidationError

from ledger.application.content import reserve_hash
from ledger.application.executor import BusyError, Executor
from ledger.application.profiles import Profiles
from ledger.application.submission import Kind
from ledger.domain import commands
from ledger.domain.decision import Answer
from ledger.messaging.replies import Replies
from ledger.store.codec import encode

log = structlog.get_logger()

MAX_PENDING_MESSAGES: Final = 16_384
_parse: Final = TypeAdapter(ReserveTokens).validate_json


class ReserveResponder:
    """Never waits for an answer before reading the next request."""

    def __init__(self, client: Client, executor: Executor, profiles: Profiles) -> None:
        self._client = client
        self._executor = executor
        self._profiles = profiles
        self._replies = Replies(client)
        self._subscription: Subscription | None = None
        self._sender: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._sender = asyncio.create_task(self._replies.run(), name="reserve-replies")
        self._subscription = await self._client.subscribe(
            f"{subjects.RESERVE_PREFIX}.*",
            queue=subjects.LEDGER_QUEUE,
            cb=self._receive,
            pending_msgs_limit=MAX_PENDING_MESSAGES,
        )

    async def stop_receiving(self) -> None:
        """Take no new request; those in the executor are still answered."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    async def stop(self) -> None:
        """Send the last answers."""
        if self._sender is not None:
            self._sender.cancel()
        # Answers of the last commit are put by callbacks that the event loop has yet to run.
        await asyncio.sleep(0)
        await self._replies.send_waiting()

    async def _receive(self, message: Msg) -> None:
        try:
            request = _parse(message.data)
        except ValidationError as error:
            log.warning("reserve_invalid", problems=error.error_count(), first=str(error.errors()[0]["loc"]))
            self._refuse(message.reply, "", RefusalCode.INVALID_REQUEST)
            return
        if message.subject.rpartition(".")[2] != subject_token(request.account_id):
            self._refuse(message.reply, request.reservation_id, RefusalCode.INVALID_REQUEST)
            return
        seconds_left = (request.deadline - datetime.now(UTC)).total_seconds()
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

    def _answer(self, reply_subject: str, request: ReserveTokens, future: asyncio.Future[Answer]) -> None:
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
                self._replies.put(reply_subject, encode(ReserveAnswer(granted=granted)))
            case Refused() as refused:
                localised = self._profiles.localised(request.account_id, refused)
                self._replies.put(reply_subject, encode(ReserveAnswer(refused=localised)))
            case _:
                self._refuse(reply_subject, request.reservation_id, RefusalCode.INVALID_REQUEST)

    def _refuse(self, reply_subject: str, reservation_id: str, code: RefusalCode) -> None:
        self._replies.put(
            reply_subject, encode(ReserveAnswer(refused=Refused(reservation_id=reservation_id, code=code)))
        )


def _command(request: ReserveTokens) -> commands.ReserveTokens:
    return commands.ReserveTokens(
        account_id=request.account_id,
        reservation_id=request.reservation_id,
        model=request.model,
        endpoint=request.endpoint,
        prompt_tokens=request.prompt_tokens,
        content_hash=reserve_hash(request),
        maximum_output_tokens=request.maximum_output_tokens,
        model_output_tokens=request.model_output_tokens,
        choices=request.choices,
        output_free=request.output_free,
    )
