"""A bare HTTP/1.1 client connection: sends ready bytes, tells when which part of the answer came."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final, Self, cast

import httptools

from bench.load.answers import CONTENT_MARK
from bench.load.requests import Target

CONNECT_TIMEOUT_SECONDS: Final = 10.0
EXCHANGE_TIMEOUT_SECONDS: Final = 60.0
_DONE: Final = b"data: [DONE]"


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What one answer was; seconds since the request was written. `reads` counts arrivals of bytes."""

    status: int
    seconds: float
    first_chunk_seconds: float
    events: int
    reads: int
    done: bool


class ExchangeError(Exception):
    """The peer broke the exchange off, or did not end it in time."""


class Connection(asyncio.Protocol):
    """One connection, one exchange at a time; `count_events` looks for the stream's chunks, which costs a little."""

    def __init__(self, *, count_events: bool) -> None:
        self._count_events = count_events
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._finished: asyncio.Future[None] | None = None
        self._started = 0.0
        self._first = 0.0
        self._events = 0
        self._reads = 0
        self._done = False
        self._carry = b""
        self._reusable = True

    @classmethod
    async def open(cls, target: Target, *, count_events: bool = False) -> Self:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: cls(count_events=count_events), "127.0.0.1", target.port
            )
        return connection

    async def exchange(self, request: bytes, timeout_seconds: float = EXCHANGE_TIMEOUT_SECONDS) -> Exchange:
        """Send a request and read its answer to the end.

        Raises:
            ExchangeError: the answer broke off or took too long.
        """
        if self._transport is None:
            raise ExchangeError("closed")
        self._first = 0.0
        self._events = self._reads = 0
        self._done = False
        self._carry = b""
        self._parser = parser = httptools.HttpResponseParser(self)
        self._finished = asyncio.get_running_loop().create_future()
        self._started = time.perf_counter()
        self._transport.write(request)
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._finished
        except TimeoutError:
            self.close()
            raise ExchangeError("timeout") from None
        seconds = time.perf_counter() - self._started
        if not self._reusable:
            self.close()
        return Exchange(
            status=parser.get_status_code(),
            seconds=seconds,
            first_chunk_seconds=self._first - self._started,
            events=self._events,
            reads=self._reads,
            done=self._done,
        )

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # create_connection always gives one

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._finished is not None and not self._finished.done():
            self._finished.set_exception(ExchangeError(repr(error) if error else "closed by the peer"))

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self.close()
            return
        self._reads += 1
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_body(self, part: bytes) -> None:
        if not self._first:
            self._first = time.perf_counter()
        if self._count_events:
            text = self._carry + part
            self._events += text.count(CONTENT_MARK)
            self._done = self._done or _DONE in text
            self._carry = text[1 - len(CONTENT_MARK) :]  # too short to be counted again

    def on_message_complete(self) -> None:
        assert self._parser is not None
        self._reusable = self._parser.should_keep_alive()  # the parser forgets it afterwards
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)
