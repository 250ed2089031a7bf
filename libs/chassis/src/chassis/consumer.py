"""A durable JetStream consumer: asks for messages as long as it runs, and outlives the loss of what it asks."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from faststream import AckPolicy
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.broker import create_broker, undecoded
from chassis.core_nats.client import CoreNats
from chassis.dead_letters import DeadLetters
from chassis.delivery import Deliveries, Handler
from chassis.jetstream import NotFoundError, consumer_info

AHEAD: Final = 2
"""Messages on their way or in memory at once. A process that is frozen or killed keeps so many from the others, until
their ack wait, and what those handle meanwhile overtakes them."""
REQUEST_SECONDS: Final = 5.0
"""How long the server holds one pull request open; a lost one is noticed one second later."""
CHECK_SECONDS: Final = 1.0
LOST_SECONDS: Final = 30.0
LOG_SECONDS: Final = 30.0
START_SECONDS: Final = 5.0
"""At a start others start too: what is missing so long is no news."""

_UNANSWERED: Final = "requests are not answered"

log = structlog.get_logger()


class ConnectionLostError(Exception):
    """The broker's connection is gone for good; only a new process helps."""


class Consumer:
    """Hands one message after the other to `handle`; several processes may share the durable consumer.

    FastStream hears the inbox to which the server sends what is asked for here. Its own pulling asks again at once
    after whatever fails: a flood while the consumer is missing, a loop that never waits on a closed connection.
    """

    def __init__(
        self,
        client: CoreNats,
        nats_url: str,
        engine: AsyncEngine,
        letters: DeadLetters,
        handle: Handler,
        *,
        stream: str,
        durable: str,
        make_streams: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """`make_streams` makes what is missing, where this service is the one that may; else that is waited for."""
        self._client = client
        self._make_streams = make_streams
        self._deliveries = Deliveries(engine, letters, handle, durable=durable)
        self._stream = stream
        self._durable = durable
        self._inbox = client.new_inbox()
        self._broker = create_broker(nats_url, letters.service)
        subscriber = self._broker.subscriber(
            self._inbox, ack_policy=AckPolicy.MANUAL, decoder=undecoded, no_reply=True, title=durable
        )
        subscriber(self._receive)
        self._problem: str | None = "not started"
        self._logged_at = 0.0
        self._unconnected_since: float | None = None
        self._missing = 0
        self._quiet_since = 0.0
        self._ended = ""
        self._wakeup = asyncio.Event()

    async def check(self) -> str | None:
        """A readiness check: None while messages are consumed."""
        return self._problem

    async def run(self) -> None:
        """Consume until cancelled, then let the handler that runs finish.

        Raises:
            ConnectionLostError: see there.
        """
        connection: Client | None = None
        self._logged_at = asyncio.get_running_loop().time() - LOG_SECONDS + START_SECONDS
        try:
            connection = await self._connect()
            await self._broker.start()
            while True:
                self._require_connection(connection)
                self._report(await self._find_problem(connection))
                if self._problem is None:
                    await self._pull(connection)
                await asyncio.sleep(CHECK_SECONDS)
        finally:
            self._problem = "stopped"
            await self._close(connection)

    async def _connect(self) -> Client:
        while True:
            try:
                return await self._broker.connect()
            except NatsError as error:  # it waits for a server, but not where one refuses the login
                self._report(str(error))
            await asyncio.sleep(CHECK_SECONDS)

    def _require_connection(self, connection: Client) -> None:
        """A reconnect loop of the broker that died unseen: the server answers us, and the broker stays away."""
        if connection.is_closed:
            raise ConnectionLostError
        now = asyncio.get_running_loop().time()
        if connection.is_connected or not self._client.is_connected:
            self._unconnected_since = None
        elif self._unconnected_since is None:
            self._unconnected_since = now
        elif now - self._unconnected_since >= LOST_SECONDS:
            raise ConnectionLostError

    async def _find_problem(self, connection: Client) -> str | None:
        if not (await self._client.wait_connected(CHECK_SECONDS) and connection.is_connected):
            return "nats not connected"
        try:
            try:
                await consumer_info(self._client, self._stream, self._durable)
            except NotFoundError:
                if self._make_streams is None:
                    raise
                await self._make_streams()
        except NatsError as error:
            return f"consumer {type(error).__name__}"
        return None

    def _report(self, problem: str | None) -> None:
        self._problem = problem
        now = asyncio.get_running_loop().time()
        if problem is not None and now - self._logged_at >= LOG_SECONDS:
            self._logged_at = now
            log.warning("waiting_for_consumer", consumer=self._durable, reason=problem)

    async def _pull(self, connection: Client) -> None:
        """Keep a request open until the connection is lost, or the server ends it for another reason than time."""
        log.info("consuming", consumer=self._durable)
        loop = asyncio.get_running_loop()
        reconnects = connection.stats["reconnects"]
        self._missing, self._ended, self._quiet_since = 0, "", max(self._quiet_since, loop.time())
        while not self._ended and connection.is_connected and connection.stats["reconnects"] == reconnects:
            if loop.time() - self._quiet_since > REQUEST_SECONDS + 1:
                self._missing = 0  # neither messages nor the request's end came: it was lost, or may not be made
                self._report(_UNANSWERED)
            if self._missing < AHEAD:
                await self._ask(connection, AHEAD - self._missing)
                self._missing = AHEAD
                self._quiet_since = max(self._quiet_since, loop.time())
            self._wakeup.clear()
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._wakeup.wait()
            except TimeoutError:
                if self._quiet_since < float("inf"):  # nothing is handled, and nothing comes
                    await self._deliveries.rest()
        log.warning("consuming_interrupted", consumer=self._durable, reason=self._ended or "nats disconnected")

    async def _ask(self, connection: Client, messages: int) -> None:
        request = json.dumps({"batch": messages, "expires": int(REQUEST_SECONDS * 1e9)}).encode()
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._durable}"
        await connection.publish(subject, request, reply=self._inbox)

    async def _receive(self, raw: Msg) -> None:
        if self._problem is _UNANSWERED:
            self._report(None)
        # Every stored message asks for its acknowledgement. What its publisher wrote into it is not the server's word.
        if not raw.reply:
            self._take_status(raw.headers or {})
            return
        self._missing -= 1
        self._quiet_since = float("inf")
        try:
            await self._deliveries.settle(raw)
        finally:
            self._quiet_since = asyncio.get_running_loop().time()
            self._wakeup.set()

    def _take_status(self, headers: dict[str, str]) -> None:
        if headers.get("Status") in {"404", "408"}:
            self._missing -= int(headers.get("Nats-Pending-Messages", AHEAD))
        else:
            self._ended = headers.get("Description") or f"status {headers.get('Status')}"
        self._wakeup.set()

    async def _close(self, connection: Client | None) -> None:
        try:
            await self._broker.stop()
        except Exception as error:  # FastStream raises groups of whatever went wrong; we are leaving anyway
            log.warning("broker_not_drained", error=type(error).__name__)
        await self._deliveries.rest()
        if connection is not None and not connection.is_closed:
            await connection.close()  # what could not drain, as while reconnecting, would go on trying for ever
