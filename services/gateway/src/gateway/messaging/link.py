"""The connection to NATS, made in the background so that the gateway serves, and refuses, without it."""

import asyncio
import contextlib

import structlog
from chassis import nats as chassis_nats
from nats.aio.client import Client
from nats.errors import Error

log = structlog.get_logger()

_RETRY_SECONDS = 0.5
_LOOK_SECONDS = 0.02


class NatsLink:
    """`client` is the connected client, or None while there is no connection: nothing is ever buffered."""

    def __init__(self, nats_url: str) -> None:
        self._nats_url = nats_url
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def client(self) -> Client | None:
        client = self._client
        return client if client is not None and client.is_connected else None

    def open(self) -> None:
        self._task = asyncio.create_task(self._stay_connected(), name="nats")

    async def wait_for_client(self, seconds: float) -> Client | None:
        """The connected client as soon as there is one; None when there is none in time."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (client := self.client) is None:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return None
            await asyncio.sleep(min(_LOOK_SECONDS, left))
        return client

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._client is not None:
            with contextlib.suppress(Error, OSError, TimeoutError):
                async with asyncio.timeout(2):
                    await self._client.close()

    async def _stay_connected(self) -> None:
        """The client reconnects by itself; one that gave up for good (refused credentials) is replaced."""
        while True:
            try:
                self._client = await chassis_nats.connect(self._nats_url, service="gateway")
            except (Error, OSError, TimeoutError) as error:
                log.warning("nats_unreachable", error=type(error).__name__)
            while self._client is not None and not self._client.is_closed:  # noqa: ASYNC110  the client has no event
                await asyncio.sleep(_RETRY_SECONDS)
            await asyncio.sleep(_RETRY_SECONDS)
