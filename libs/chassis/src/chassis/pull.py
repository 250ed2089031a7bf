"""Pulls from a durable JetStream consumer and hands over what has come, without waiting for a batch to fill."""

import asyncio
import json
from typing import Final, Self

from chassis.core_nats.client import CoreNats
from chassis.core_nats.wire import Message

REQUEST_SECONDS: Final = 5.0
"""How long the server holds one pull request open; a lost one is noticed one second later."""
_EXPIRED: Final = ("404", "408")


class PullEndedError(Exception):
    """The server ended the pull for another reason than time: the consumer or its stream is gone, or changed."""


class Puller:
    """At most `batch` messages are on their way or in memory at once.

    nats-py's own `fetch` lingers until its batch is full or its time is over, which delays a lone message or, with a
    short time, costs a round trip each time; here a request stays open and its messages are taken as they come.
    """

    def __init__(self, client: CoreNats, stream: str, durable: str, *, batch: int) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._request = json.dumps({"batch": batch, "expires": int(REQUEST_SECONDS * 1e9)}).encode()
        self._batch = batch
        self._missing = 0
        self._arrived: list[Message] = []
        self._wakeup = asyncio.Event()
        self._inbox = client.new_inbox()
        self._subscription = b""

    async def __aenter__(self) -> Self:
        self._subscription = self._client.subscribe(self._inbox, self._receive)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.unsubscribe(self._subscription)

    async def next(self) -> list[Message]:
        """What has arrived since the last call, at least one message unless the request ran out empty.

        Raises:
            PullEndedError: the consumer can't be pulled from any more; bind anew.
            nats.errors.Error: the connection does not take the request.
        """
        if self._missing <= 0 and not self._arrived:
            self._client.publish(self._subject, self._request, reply=self._inbox)
            self._missing = self._batch
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

    def acknowledge(self, message: Message) -> None:
        """Its effect stands; a lost acknowledgement brings the message again."""
        self._client.publish(message.reply, b"+ACK")

    def put_back(self, message: Message, delay_seconds: float) -> None:
        """It is to come again, not before this time is over."""
        self._client.publish(message.reply, b'-NAK {"delay": %d}' % int(delay_seconds * 1e9))

    def terminate(self, message: Message) -> None:
        """It is never to come again."""
        self._client.publish(message.reply, b"+TERM")

    def _receive(self, message: Message) -> None:
        self._arrived.append(message)
        self._wakeup.set()

    def _is_status(self, message: Message) -> bool:
        # Every stored message asks for its acknowledgement. What its publisher wrote into it is not the server's word.
        if message.reply:
            self._missing -= 1
            return False
        status = message.status
        if status.startswith(_EXPIRED):
            self._missing = 0
        elif status:
            raise PullEndedError(status)
        return True
