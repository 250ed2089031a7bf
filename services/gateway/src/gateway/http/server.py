"""uvicorn with the gateway's own waits, and with OpenAI's shape for requests that are not HTTP."""

import asyncio
import re
from contextlib import AbstractAsyncContextManager
from math import ceil
from typing import NoReturn, cast

from chassis.server import serve
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.domain.headers import Headers
from gateway.http.app import GatewayApp
from gateway.http.client_connection import CLIENT_CONNECTION, ClientConnection, JoiningTransport
from gateway.http.errors import error_answer
from gateway.metrics import CONNECTIONS, EVICTED

FORCED_END_SECONDS = 1.0
"""After the last call was told to end: how long its client may take to read what was sent."""
HEAD_SECONDS = 10.0
"""From a connection's start, or a request's first byte, to the end of its head."""
MAX_HEAD_BYTES = 64 * 1024
HEAD_TOO_LARGE = "the headers are too large"
BODY_BEHIND_OFFER = "it offers another protocol and has a body"
_OFFER = b"pgrade"
_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


class Connections:
    """The connections that have no request, the longest waiting first: they go when there are too many.

    A client that has sent no key yet must not keep others, nor a health check, from being heard.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0
        self._idle: dict[GatewayProtocol, None] = {}
        CONNECTIONS.set_function(lambda: self._open)

    def opened(self, connection: "GatewayProtocol") -> None:
        self._open += 1
        self._idle[connection] = None
        if self._open > self._most:
            longest = next(iter(self._idle))
            del self._idle[longest]
            EVICTED.inc()
            longest.transport.abort()

    def busy(self, connection: "GatewayProtocol") -> None:
        self._idle.pop(connection, None)

    def idle(self, connection: "GatewayProtocol") -> None:
        self._idle[connection] = None

    def closed(self, connection: "GatewayProtocol") -> None:
        self._open -= 1
        self._idle.pop(connection, None)


class GatewayProtocol(HttpToolsProtocol):
    """Answers broken HTTP (two lengths, bad characters) as any other bad request, and bounds the headers.

    Gives each exchange its connection (`ClientConnection`), which spares a call the task that would wait for its end.
    """

    clients: Connections
    """Of the server; set on the class that it is given."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._joining = JoiningTransport(transport)
        self.transport = cast(asyncio.Transport, self._joining)
        self._lost: asyncio.Future[None] = self.loop.create_future()
        self._served: RequestResponseCycle | None = None
        """The request whose turn it is; `cycle` is the last one that came, which may wait behind it."""
        self._in_head = False
        self._framing_bytes = 0
        """Of heads, chunk sizes and trailers, since a request began or its body last went on."""
        self._refusal = ""
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)
        self.clients.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._served is not None and not self._served.response_complete:
            self._served.disconnected = True
        super().connection_lost(exc)
        self._head_timer.cancel()
        self.clients.closed(self)
        if not self._lost.done():
            self._lost.set_result(None)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_timer.cancel()
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._framing_bytes = 0
        super().on_message_complete()
        # A long body has paused reading, and a client's leaving would go unread; what is pipelined must wait, though.
        if not self.pipeline:
            self.flow.resume_reading()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_timer.cancel()
        if self._framing_bytes > MAX_HEAD_BYTES and _size_of(self.headers) > MAX_HEAD_BYTES:
            self._refuse(HEAD_TOO_LARGE)
        if self.parser.should_upgrade() and _announces_body(self.headers):
            self._refuse(BODY_BEHIND_OFFER)
        self.clients.busy(self)
        super().on_headers_complete()
        if not self.pipeline:
            self._served = self.cycle
        # The task that serves the cycle has not begun to run yet.
        connection = ClientConnection(self.cycle, self.flow, self._joining, self._lost)
        self.scope["extensions"] = {CLIENT_CONNECTION: {"connection": connection}}

    def on_response_complete(self) -> None:
        another = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        if another is not None:
            self._served = another
        elif not self.transport.is_closing():
            self.clients.idle(self)

    def _head_is_late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # It is the next call's: nobody waits for it before this one has been answered.
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)
            return
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """No news: any client can offer another protocol, and nobody has to take it."""

    def _refuse(self, reason: str) -> NoReturn:
        """End the parsing of a request from within: it is answered with 400."""
        self._refusal = reason
        raise ValueError(reason)

    def data_received(self, data: bytes) -> None:
        if _OFFER in data and (self.cycle is None or not self.cycle.more_body):
            data = _without_offer(data)
        self._framing_bytes += len(data)
        super().data_received(data)
        if self._framing_bytes > MAX_HEAD_BYTES:
            self.send_400_response(HEAD_TOO_LARGE)
        elif self._in_head and self._head_timer.cancelled():  # most heads come whole, and need no timer
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def send_400_response(self, msg: str) -> None:
        if self.transport.is_closing():
            return
        served = self._served
        if served is not None and not served.response_complete:
            served.disconnected = True  # its answer behind this one would be taken for another request's
            if served.response_started:
                self.transport.close()
                return
        body = error_answer(400, "invalid_request", f"Invalid request: {self._refusal or msg}").body
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[400] + head + body)
        self.transport.close()


def _size_of(headers: Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


def _announces_body(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b"")
        for name, value in headers
    )


def _without_offer(data: bytes) -> bytes:
    """A head that offers no other protocol: the parser takes a request that does to have no body, and drops it.

    It sees the first head of a read alone: another one's body is refused instead of dropped.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nx-upgrade:", head) + end + body


def serve_calls(
    app: GatewayApp, host: str, port: int, *, finish_seconds: float, max_connections: int
) -> AbstractAsyncContextManager[None]:
    """Serve while the block runs, then take no new connections and wait for the open calls.

    Raises:
        OSError: the port can't be listened on.
    """
    return serve(
        app,
        host,
        port,
        http=type("BoundedProtocol", (GatewayProtocol,), {"clients": Connections(max_connections)}),
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=ceil(finish_seconds + FORCED_END_SECONDS),
        backlog=4096,
    )
