"""HTTP/1.1 to one upstream: keeps idle connections, and closes a call's connection when the call is left."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Final, Self
from urllib.parse import urlsplit

from gateway.domain.headers import Headers
from gateway.upstream.connection import ClosedWhileIdleError, Taker, UpstreamConnection, UpstreamError
from gateway.upstream.decoding import Decoder, decoder_of

MAX_IDLE_CONNECTIONS: Final = 128
USER_TIMEOUT_SECONDS: Final = 30
"""Bytes that the upstream's host does not acknowledge for that long end the connection."""
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""A host that vanished while a call waits for its answer is noticed after 30 s; a silent one stays welcome."""


class UpstreamUnreachableError(UpstreamError):
    """No connection could be made: the upstream has seen nothing of the call."""


class UpstreamAnswer:
    """An answer under way. Leaving its block closes the upstream call unless the answer was read to its end."""

    def __init__(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        self.status = connection.status
        self.headers = connection.headers
        self._decoder: Decoder | None = None
        self._decoded: Iterator[bytes] = iter(())

    def decode(self) -> None:
        """From now on read and hand out the body without its `content-encoding`.

        Raises:
            UpstreamError: nobody knows that encoding; `headers` still name it.
        """
        encoding = next((value for name, value in self.headers if name == b"content-encoding"), None)
        if encoding is None:
            return
        self._decoder = decoder_of(encoding)
        self.headers = [(name, value) for name, value in self.headers if name != b"content-encoding"]

    def hand_to(self, taker: Taker) -> None:
        """Offer what arrives to `taker` at once, as long as somebody waits in `read`, which gets what it refuses."""
        if self._decoder is None:
            self._connection.hand_to(taker)

    async def read(self) -> bytes:
        """What has arrived since the last call; empty at the end. Raises UpstreamError where it breaks off."""
        if self._decoder is None:
            return await self._connection.read()
        await asyncio.sleep(0)  # a small compressed answer can be long: others get their turns between its pieces
        while not (piece := next(self._decoded, b"")):
            data = await self._connection.read()
            if not data:
                if not self._decoder.at_end:
                    raise UpstreamError("the compressed answer broke off")
                return b""
            self._decoded = self._decoder.decode(data)
        return piece

    async def read_all(self, limit_bytes: int) -> bytes:
        """The whole rest of the body.

        Raises:
            UpstreamError: it broke off, or is longer than the limit.
        """
        return await self.read_rest([], limit_bytes)

    async def read_rest(self, parts: list[bytes], limit_bytes: int) -> bytes:
        """As `read_all`, of a body whose first `parts` were read before: they grow by what comes."""
        size = sum(map(len, parts))
        while data := await self.read():
            parts.append(data)
            size += len(data)
            if size > limit_bytes:
                raise UpstreamError("the answer is too large")
        return parts[0] if len(parts) == 1 else b"".join(parts)


class UpstreamCall:
    """One request; `async with` sends it and waits for the answer's headers.

    An upstream may close a kept connection just as the request is sent on it. Then, and only where no byte of an
    answer had come, it is sent once more, on a new connection.
    """

    def __init__(self, client: "UpstreamClient", request: bytes) -> None:
        self._client = client
        self._request = request
        self._connection: UpstreamConnection | None = None
        self.on_answered: Callable[[int], None] | None = None
        """Called with the answer's status when that has come: the request is not needed here any more."""
        self.sent = False
        """Whether the upstream may have seen the request."""

    async def __aenter__(self) -> UpstreamAnswer:
        try:
            return await self._send(await self._client.acquire())
        except ClosedWhileIdleError:
            return await self._send(await self._client.connect())

    async def _send(self, connection: UpstreamConnection) -> UpstreamAnswer:
        self._connection = connection
        try:
            connection.send(self._request)
            self.sent = True
            await connection.wait_for_headers()
        except BaseException:
            connection.release()
            raise
        self._request = b""
        if self.on_answered is not None:
            self.on_answered(connection.status)
        return UpstreamAnswer(connection)

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.release()


class UpstreamClient:
    """`base_url` is `http(s)://host[:port][/prefix]`; idle connections are closed before the upstream would.

    `api_key`, where the upstream wants one, goes with every request, and nowhere but there.
    """

    def __init__(self, base_url: str, *, api_key: str = "", connect_seconds: float, idle_seconds: float) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the upstream must be an http or https URL")
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._prefix = parts.path.rstrip("/").encode()
        self._own_headers = b"host: " + parts.netloc.rpartition("@")[2].encode() + b"\r\n"
        if api_key:
            self._own_headers += b"authorization: Bearer " + api_key.encode() + b"\r\n"
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._idle: dict[UpstreamConnection, float] = {}
        self._connections: set[UpstreamConnection] = set()
        self._reaper: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        for connection in list(self._connections):
            connection.abort()

    def request(self, method: bytes, path: bytes, headers: Headers, body: bytes = b"") -> UpstreamCall:
        """A call to make; names and values must be valid header bytes (no CR, LF or NUL)."""
        parts = [method, b" ", self._prefix, path, b" HTTP/1.1\r\n", self._own_headers]
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        if body:
            parts += (b"content-length: ", str(len(body)).encode(), b"\r\n")
        parts += (b"\r\n", body)
        return UpstreamCall(self, b"".join(parts))

    async def acquire(self) -> UpstreamConnection:
        """The connection used last, else a new one.

        Raises:
            UpstreamUnreachableError: none could be made in time.
        """
        if self._idle:
            connection, _ = self._idle.popitem()
            return connection
        return await self.connect()

    async def connect(self) -> UpstreamConnection:
        """A new connection.

        Raises:
            UpstreamUnreachableError: none could be made in time.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self._keep, self._forget), self._host, self._port, ssl=self._tls
                )
        except (OSError, ssl.SSLError, TimeoutError) as error:
            raise UpstreamUnreachableError(type(error).__name__) from error
        _notice_a_vanished_host(connection)
        self._connections.add(connection)
        return connection

    def _keep(self, connection: UpstreamConnection) -> None:
        if len(self._idle) >= MAX_IDLE_CONNECTIONS:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        self._idle[connection] = loop.time()
        if self._reaper is None:
            self._reaper = loop.call_later(self._idle_seconds / 2, self._reap)

    def _forget(self, connection: UpstreamConnection) -> None:
        self._idle.pop(connection, None)
        self._connections.discard(connection)

    def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._idle_seconds / 2
        for connection in [one for one, since in self._idle.items() if since < oldest]:
            self._idle.pop(connection, None)
            connection.abort()
        self._reaper = loop.call_later(self._idle_seconds / 2, self._reap) if self._idle else None


def _notice_a_vanished_host(connection: UpstreamConnection) -> None:
    if connection.transport is None:
        return
    connected = connection.transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # a host that is gone already is noticed anyway
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (*_KEEPALIVE, ("TCP_USER_TIMEOUT", USER_TIMEOUT_SECONDS * 1000)):
            if (option := getattr(socket, name, None)) is not None:  # not every system has all of them
                connected.setsockopt(socket.IPPROTO_TCP, option, value)
