"""uvicorn with the gateway's own waits, and with OpenAI's shape for requests that are not HTTP."""

import asyncio
import re
import weakref
from contextlib import AbstractAsyncContextManager
from math import ceil
from typing import Any, NoReturn, cast

from chassis.server import serve
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.domain.headers import Headers
from gateway.http.app import GatewayApp
from gateway.http.errors import error_answer
from gateway.http.exchange import CLIENT_CONNECTION
from gateway.metrics import CONNECTIONS, EVICTED

KEEP_ALIVE_SECONDS = 75
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


class JoiningTransport:
    """Holds an answer's head back until its body's first bytes, or the loop's next turn: one system call, not two.

    uvicorn writes both one after the other, and uvloop sends each write at once; that was 10 % of a short call.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._head = b""

    def write(self, data: bytes) -> None:
        if not self._head and data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self.write_whole(data)

    def write_whole(self, data: bytes) -> None:
        """Write what there is nothing to wait for; it goes behind a head, as the leave to send a body (100) is one."""
        if self._head:
            data, self._head = self._head + data, b""
        self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:  # whatever else a transport can do
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)


class CycleConnection:
    """The connection as one request sees it: whole answers and chunks of streamed ones go out without uvicorn's steps.

    Those cost a tenth of a short call: every header is searched for what no parsed or written one can hold.
    """

    def __init__(
        self,
        cycle: RequestResponseCycle,
        flow: FlowControl,
        transport: JoiningTransport,
        lost: asyncio.Future[None],
    ) -> None:
        # The cycle's scope leads here: a strong reference would leave every call to the garbage collector.
        self._cycle = weakref.ref(cycle)
        self._flow = flow
        self._transport = transport
        self.lost = lost

    @property
    def request_came(self) -> bool:
        cycle = self._cycle()
        return cycle is not None and not cycle.more_body

    @property
    def writable(self) -> bool:
        cycle = self._cycle()
        return cycle is not None and bool(cycle.chunked_encoding) and not self._flow.write_paused

    def answer(self, status: int, headers: Headers, body: bytes) -> bool:
        cycle = self._cycle()
        if cycle is None or cycle.disconnected or cycle.response_started or self._flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        parts = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (b"content-length: ", str(len(body)).encode(), b"\r\n\r\n")
        if cycle.scope["method"] != "HEAD":
            parts.append(body)
        self._transport.write_whole(b"".join(parts))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._transport.close()
        cycle.on_response()
        return True

    def write_chunk(self, data: bytes) -> None:
        cycle = self._cycle()
        if cycle is not None and not cycle.disconnected and not cycle.response_complete:
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))


class GatewayProtocol(HttpToolsProtocol):
    """Answers broken HTTP (two lengths, bad characters) as any other bad request, and bounds the headers.

    Gives each exchange its connection (`CycleConnection`), which spares a call the task that would wait for its end.
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
        connection = CycleConnection(self.cycle, self.flow, self._joining, self._lost)
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
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=ceil(finish_seconds + FORCED_END_SECONDS),
        backlog=4096,
    )
