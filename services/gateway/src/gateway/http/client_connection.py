"""A client's connection as one request of it sees it, beyond what ASGI has words for."""

import asyncio
import weakref
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.domain.headers import Headers

CLIENT_CONNECTION: Final = "solaris.client_connection"
"""ASGI extension of our server: its `connection` is a `ClientConnection`."""


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


class ClientConnection:
    """`lost` is done when the connection has ended. Whole answers and chunks go out without uvicorn's steps.

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
        """Whether all of the request has arrived."""
        cycle = self._cycle()
        return cycle is not None and not cycle.more_body

    @property
    def writable(self) -> bool:
        """Whether a chunk of a streamed answer can be written now."""
        cycle = self._cycle()
        return cycle is not None and bool(cycle.chunked_encoding) and not self._flow.write_paused

    def answer(self, status: int, headers: Headers, body: bytes) -> bool:
        """Write a whole answer at once; False: it can't be now. `headers` without those of the connection's own."""
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
        """Write one at once; does nothing for a client that left."""
        cycle = self._cycle()
        if cycle is not None and not cycle.disconnected and not cycle.response_complete:
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
