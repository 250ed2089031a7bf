"""Sends answers in bursts: one task for all replies of a connection instead of one for each."""

import asyncio

import structlog
from nats.aio.client import Client
from nats.errors import Error

log = structlog.get_logger()


class Replies:
    """Bounded by the requests that are open: each puts in one reply."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: list[tuple[str, bytes]] = []
        self._wakeup = asyncio.Event()

    def put(self, reply_subject: str, payload: bytes) -> None:
        self._waiting.append((reply_subject, payload))
        self._wakeup.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            await self.send_waiting()

    async def send_waiting(self) -> None:
        """Send what waits. A reply that can't be sent is dropped: the asker asks again with the same id."""
        waiting, self._waiting = self._waiting, []
        for subject, payload in waiting:
            try:
                await self._client.publish(subject, payload)
            except (Error, OSError) as error:
                log.warning("reply_dropped", error=repr(error))
