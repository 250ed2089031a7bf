"""Pulls from a durable JetStream consumer and hands over what has come, without waiting for a batch to fill."""

import asyncio
import contextlib
import json
from types import TracebackType
from typing import Final, Self

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

REQUEST_SECONDS: Final = 5.0
"""How long the server holds one pull request open; a lost one is noticed one second later."""
_STATUS: Final = "Status"
_EXPIRED: Final = frozenset({"404", "408"})
_HEARTBEAT: Final = "100"


class PullEndedError(Exception):
    """The server ended the pull for another reason than time: the consumer or its stream is gone, or changed."""


class Puller:
    """At most `batch` messages are on their way or in memory at once.

    nats-py's own `fetch` lingers until its batch is full or its time is over, which delays a lone message or, with a
    short time, costs a round trip each time; here a request stays open and its messages are taken as they come.
    """

    def __init__(self, client: Client, stream: str, durable: str, *, batch: int) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._request = json.dumps({"batch": batch, "expires": int(REQUEST_SECONDS * 1e9)}).encode()
        self._batch = batch
        self._missing = 0
        self._arrived: list[Msg] = []
        self._wakeup = asyncio.Event()
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None

    async def __aenter__(self) -> Self:
        self._subscription = await self._client.subscribe(self._inbox, cb=self._receive)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._subscription is not None:
            with contextlib.suppress(NatsError, OSError, ValueError):
                await self._subscription.unsubscribe()

    async def next(self) -> list[Msg]:
        """What has arrived since the last call, at least one message unless the request ran out empty.

        Raises:
            PullEndedError: the consumer can't be pulled from any more; bind anew.
            nats.errors.Error: the connection does not take the request.
        """
        if self._missing <= 0 and not self._arrived:
            self._missing = self._batch
            await self._client.publish(self._subject, self._request, reply=self._inbox)
        if not self._arrived:
            self._wakeup.clear()
            try:
                async with asyncio.timeout(REQUEST_SECONDS + 1):
                    await self._wakeup.wait()
            except TimeoutError:
                # Neither messages nor the request's end came: it was lost with a connection.
                self._missing = 0
        arrived, self._arrived = self._arrived, []
        return [message for message in arrived if not self._is_status(message)]

    async def _receive(self, message: Msg) -> None:
        self._arrived.append(message)
        self._wakeup.set()

    def _is_status(self, message: Msg) -> bool:
        status = (message.headers or {}).get(_STATUS) if not message.data else None
        if status is None:
            self._missing -= 1
            return False
        if status in _EXPIRED:
            self._missing = 0
        elif status != _HEARTBEAT:
            raise PullEndedError(f"{status} {(message.headers or {}).get('Description', '')}")
        return True
