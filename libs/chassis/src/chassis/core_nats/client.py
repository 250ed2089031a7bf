"""Publish, subscribe and request-reply over a connection that is made anew for ever."""

import asyncio
import contextlib
import itertools
import ssl
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Self

import structlog
from nats.errors import ConnectionClosedError, Error, MaxPayloadError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from chassis.core_nats.connection import Connection, Login
from chassis.core_nats.wire import (
    Message,
    counted_bytes,
    publication,
    server_address,
    server_urls,
    subscription,
    unsubscription,
)
from chassis.ids import new_uuid7

log = structlog.get_logger()

CONNECT_SECONDS: Final = 2.0
RECONNECT_SECONDS: Final = 0.25
CLOSE_SECONDS: Final = 2.0
UNSUBSCRIBE_SECONDS: Final = 0.5
ERROR_LOG_SECONDS: Final = 10.0
_NO_RESPONDERS: Final = "503"

type Handler = Callable[[Message], None]


class CoreNats:
    """While there is no connection nothing is kept to be sent later: every call fails at once.

    Handlers run where the bytes arrive and must not wait; what they can't do at once they put somewhere bounded. An
    exception of theirs is logged and costs that message only. Answers come on a prefix of the service's own
    (`_INBOX_<service>.`), which no other service may hear.
    """

    def __init__(self, url: str, *, service: str) -> None:
        """`url` names one server, or several with commas between: who connects is the first's, encrypted as it says."""
        urls = server_urls(url)
        self._known_servers = [server_address(each) for each in urls]
        self._servers = list(self._known_servers)
        self._tls = ssl.create_default_context() if urls[0].startswith("tls://") else None
        self._login = Login.of(urls[0], name=service)
        self._connection: Connection | None = None
        self._connected = asyncio.Event()
        self._next_sid = itertools.count(1)
        self._subscriptions: dict[bytes, tuple[str, str, Handler]] = {}
        self._inbox = self.new_inbox() + "."
        self._next_request = itertools.count(1)
        self._requests: dict[str, asyncio.Future[Message]] = {}
        self._error_logged_at = float("-inf")
        self.connects = 0
        """Connections made so far."""
        self.subscribe(self._inbox + "*", self._take_answer)

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def check(self) -> str | None:
        """A readiness check."""
        return None if self.is_connected else "not connected"

    async def __aenter__(self) -> Self:
        """Connect in the background, and again whenever the connection is lost."""
        self._task = asyncio.create_task(self._stay_connected(), name="core-nats")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Send what waits, and let the connection go."""
        # The server has taken in what it answers a ping after. To close at once could lose it: where anything arrived
        # unread, the kernel resets a closed connection instead of ending it.
        with contextlib.suppress(Error, TimeoutError):
            await self.flush(CLOSE_SECONDS)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def wait_connected(self, seconds: float) -> bool:
        """Whether there is a connection, within this time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._connected.wait()
        return self.is_connected

    def publish(
        self, subject: str, payload: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a message with the next turn of the event loop; nobody tells whether it arrived.

        Raises:
            nats.errors.Error: there is no connection, the server does not read, or it takes no message so large.
            ValueError: a subject or header that is none.
        """
        connection = self._connection
        if connection is None:
            raise ConnectionClosedError
        data = publication(subject, payload, reply, headers)
        if len(data) > connection.info.max_payload_bytes and counted_bytes(data) > connection.info.max_payload_bytes:
            raise MaxPayloadError  # the server would close the connection
        connection.send(data)

    async def request(
        self, subject: str, payload: bytes, *, seconds: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Send a message and wait this long for its one answer.

        Raises:
            NoRespondersError: nobody listens on this subject; nobody got it.
            nats.errors.Error: no answer in time, or the connection was lost; somebody may have got it.
        """
        number = str(next(self._next_request))
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Message] = loop.create_future()
        self.publish(subject, payload, reply=self._inbox + number, headers=headers)
        self._requests[number] = answer
        timer = loop.call_later(seconds, _time_out, answer)
        try:
            message = await answer
        finally:
            timer.cancel()
            self._requests.pop(number, None)
        if message.status.startswith(_NO_RESPONDERS):
            raise NoRespondersError
        return message.payload

    def new_inbox(self) -> str:
        """A subject of our own, for answers that come in more than one message."""
        return f"_INBOX_{self._login.name}.{new_uuid7()}"

    def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> bytes:
        """Hand messages on this subject to `handler` from now on, over every connection; returns what ends it.

        Raises:
            OutboundBufferLimitError: the server does not read.
            ValueError: a subject or group that is none.
        """
        sid = str(next(self._next_sid)).encode()
        line = subscription(subject, sid, queue)
        connection = self._connection
        if connection is not None and not connection.lost.done():
            connection.send(line)
        self._subscriptions[sid] = (subject, queue, handler)
        return sid

    async def unsubscribe(self, *sids: bytes) -> None:
        """End subscriptions; what the server had sent before it knew is still handed over."""
        with contextlib.suppress(Error, TimeoutError):
            for sid in sids:
                if self._connection is not None and sid in self._subscriptions:
                    self._connection.send(unsubscription(sid))
            await self.flush(UNSUBSCRIBE_SECONDS)
        for sid in sids:
            self._subscriptions.pop(sid, None)

    async def flush(self, seconds: float) -> None:
        """Wait until the server has taken in all that was sent.

        Raises:
            nats.errors.Error, TimeoutError: it has not.
        """
        if self._connection is None:
            raise ConnectionClosedError
        async with asyncio.timeout(seconds):
            await self._connection.flush()

    async def writable(self) -> None:
        """Wait while the server reads more slowly than we write."""
        if self._connection is not None:
            await self._connection.writable()

    async def _stay_connected(self) -> None:
        for turn in itertools.count():
            host, port = self._servers[turn % len(self._servers)]
            try:
                connection = await self._connect(host, port)
            except Exception as error:  # whatever one attempt meets, the next is due
                self._log_rarely("nats_unreachable", repr(error))
            else:
                log.info("nats_connected", server=connection.info.name)
                try:
                    await asyncio.shield(connection.lost)
                finally:
                    await self._disconnect(connection)
                log.warning("nats_disconnected", error=repr(connection.refusal))
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _connect(self, host: str, port: int) -> Connection:
        loop = asyncio.get_running_loop()
        connection = Connection(self._login, self._deliver, partial(self._log_rarely, "nats_refused"))
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.create_connection(lambda: connection, host, port)
                # Addresses are announced before any encryption: each has to be certified by the name that we know.
                known = (host, port) in self._known_servers
                await connection.greet(self._tls, host if known else self._known_servers[0][0])
                for sid, (subject, queue, _) in self._subscriptions.items():
                    connection.send(subscription(subject, sid, queue))
        except BaseException:
            connection.abort()
            raise
        self._connection = connection
        self.connects += 1
        self._connected.set()
        return connection

    async def _disconnect(self, connection: Connection) -> None:
        self._connection = None
        self._connected.clear()
        self._servers = list(dict.fromkeys([*self._known_servers, *connection.info.addresses]))
        connection.close()
        for answer in self._requests.values():
            if not answer.done():
                answer.set_exception(ConnectionClosedError())
        if not connection.lost.done():
            await asyncio.wait([connection.lost], timeout=CLOSE_SECONDS)
            connection.abort()

    def _deliver(self, sid: bytes, message: Message) -> None:
        found = self._subscriptions.get(sid)
        if found is None:
            return
        try:
            found[2](message)
        except Exception:  # a defect that one message meets must not take the connection with it
            log.exception("nats_handler_failed", subject=found[0])

    def _take_answer(self, message: Message) -> None:
        answer = self._requests.get(message.subject[len(self._inbox) :])
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _log_rarely(self, event: str, error: str) -> None:
        # Called at every vain attempt, several times a second while the server is away, or at every publish refused.
        now = time.monotonic()
        if now - self._error_logged_at >= ERROR_LOG_SECONDS:
            self._error_logged_at = now
            log.warning(event, error=error)


def _time_out(answer: asyncio.Future[Message]) -> None:
    if not answer.done():
        answer.set_exception(NatsTimeoutError())
