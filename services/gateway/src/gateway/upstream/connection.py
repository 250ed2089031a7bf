"""One HTTP/1.1 connection to the upstream: writes a request, hands out the answer as it arrives.

Written for this gateway because leaving must stop the provider at once: closing the exchange closes the socket,
whatever state it is in (see docs/decisions/0003-gateway-server.md).
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

import httptools

from gateway.domain.headers import Headers

STATUSES: Final = range(100, 600)
"""The statuses that there are (RFC 9110, 15): another one can't be handed on."""
MAX_HEADER_BYTES: Final = 64 * 1024
MAX_TRAILER_BYTES: Final = 16 * 1024
IDLE_CLOSE_SECONDS: Final = 1.0
"""A close that comes later after sending is no answer to an idle connection: the request may have been worked on."""
PAUSE_BYTES: Final = 256 * 1024
"""Unread body bytes at which the upstream is no longer read, until the reader has caught up."""

type Taker = Callable[[bytes], bool]


class UpstreamError(Exception):
    """The upstream could not be reached, or broke off its answer."""


class ClosedWhileIdleError(UpstreamError):
    """A kept connection was closed just as a request was sent on it: nothing of an answer had come."""


class UpstreamConnection(asyncio.Protocol):
    """Serves one exchange at a time; `on_idle` is told when it may serve the next one, `on_lost` when it can't."""

    def __init__(
        self, on_idle: Callable[["UpstreamConnection"], None], on_lost: Callable[["UpstreamConnection"], None]
    ) -> None:
        self._on_idle = on_idle
        self._on_lost = on_lost
        self.transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._failure: UpstreamError | None = None
        self._busy = False
        self._ended_by_close = False
        self._header_bytes = 0
        self._trailer_bytes = 0
        self._exchanges = 0
        self._sent_at = 0.0
        self._heard = False
        self._taker: Taker | None = None
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self._headers_complete = False
        self._complete = False
        self._keep_alive = False
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._paused = False
        self._heard = False
        self._header_bytes = 0
        self._trailer_bytes = 0
        self._taker = None

    # --- the exchange -------------------------------------------------------------------------------------------

    def send(self, request: bytes) -> None:
        """Start an exchange with the request's bytes."""
        assert not self._busy, "one exchange at a time"
        assert self.transport is not None
        self._reset()
        self._busy = True
        self._exchanges += 1
        self._sent_at = asyncio.get_running_loop().time()
        self._parser = httptools.HttpResponseParser(self)
        self.transport.write(request)

    async def wait_for_headers(self) -> None:
        """Return when `status` and `headers` stand.

        Raises:
            UpstreamError: the connection ended before.
        """
        while not self._headers_complete:
            await self._wait()

    def hand_to(self, taker: Taker) -> None:
        """From now on offer what arrives to `taker` at once; what it does not take (False) is for `read`, in order."""
        self._taker = taker

    async def read(self) -> bytes:
        """All that has arrived since the last call, waiting for at least one byte; empty at the end of the answer.

        Raises:
            UpstreamError: the answer broke off; what had arrived before was handed out first.
        """
        while not self._body:
            if self._complete:
                return b""
            await self._wait()
        data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._body_bytes = 0
        if self._paused and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()
        return data

    def release(self) -> None:
        """End the exchange: a complete one leaves the connection for the next, any other closes it at once."""
        if not self._busy:
            return
        self._busy = False
        self._taker = None
        transport = self.transport
        reusable = self._complete and self._keep_alive and self._failure is None and not self._ended_by_close
        # With bytes still to be sent, the upstream answered without reading the whole body.
        if reusable and transport is not None and transport.get_write_buffer_size() == 0:
            self._parser = None
            self._on_idle(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Close the socket without waiting for anything."""
        if self.transport is not None:
            self.transport.abort()
        self._on_lost(self)

    async def _wait(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, reason: str) -> None:
        if self._failure is None:
            self._failure = UpstreamError(reason)
        self._wake()

    def _fail_at_once(self, reason: str) -> None:
        self._fail(reason)
        self.abort()

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # create_connection always gives a Transport

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._complete:
            self._fail_at_once("bytes outside an answer")
            return
        self._heard = True
        if not self._headers_complete:
            self._header_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail_at_once("the upstream switched protocols")
            return
        except httptools.HttpParserError as error:
            self._fail_at_once(f"not HTTP: {type(error).__name__}")
            return
        if not self._headers_complete and self._header_bytes > MAX_HEADER_BYTES:
            self._fail_at_once("headers too large")
            return
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            self._fail_at_once("trailers too large")
            return
        taken = self._taken_at_once()
        if self._body_bytes > PAUSE_BYTES and not self._paused and not self._complete and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()
        if not taken or self._complete:
            self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if self._busy and error is None and self._reads_until_close():
            self._complete = True
            self._ended_by_close = True
            self._wake()
        reason = "the connection was closed" if error is None else type(error).__name__
        if self._closed_while_idle():
            self._failure = self._failure or ClosedWhileIdleError(reason)
        self._fail(reason)
        self.transport = None
        self._on_lost(self)

    def _taken_at_once(self) -> bool:
        if self._taker is None or self._waiter is None or not self._body:
            return False
        data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        if not self._taker(data):
            return False
        self._body.clear()
        self._body_bytes = 0
        return True

    def _closed_while_idle(self) -> bool:
        waited_seconds = asyncio.get_running_loop().time() - self._sent_at
        return self._busy and self._exchanges > 1 and not self._heard and waited_seconds < IDLE_CLOSE_SECONDS

    def _reads_until_close(self) -> bool:
        """Whether the end of the connection is the end of the body (RFC 9112, 6.3, rule 8)."""
        names = {name for name, _ in self.headers}
        return self._headers_complete and b"content-length" not in names and b"transfer-encoding" not in names

    # --- httptools callbacks: after a complete answer nothing more is taken, and the connection is not used again ---

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._headers_complete:
            self._trailer_bytes += len(name) + len(value)  # nobody reads trailers
        elif not self._complete:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        if self._complete:
            self._keep_alive = False
            return
        self.status = self._parser.get_status_code()
        if self.status not in STATUSES:
            self._fail(f"not HTTP: status {self.status}")
        elif self.status < 200:
            self.headers = []
        else:
            self._headers_complete = True

    def on_body(self, body: bytes) -> None:
        if not self._complete:
            self._body.append(body)
            self._body_bytes += len(body)

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if self._headers_complete and not self._complete:
            self._complete = True
            self._keep_alive = self._parser.should_keep_alive()  # the parser forgets it right after
