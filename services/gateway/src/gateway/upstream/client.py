"""HTTP/1.1 to one upstream: keeps idle connections, and closes a call's connection when the call is left."""

import asyncio
import ssl
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from gateway.upstream.connection import Headers, Taker, UpstreamConnection, UpstreamError

MAX_IDLE_CONNECTIONS: Final = 128


class UpstreamUnreachableError(UpstreamError):
    """No connection could be made: the upstream has seen nothing of the call."""


class UpstreamAnswer:
    """An answer under way. Leaving its block closes the upstream call unless the answer was read to its end."""

    def __init__(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        self.status = connection.status
        self.headers = connection.headers

    def hand_to(self, taker: Taker) -> None:
        """Offer what arrives to `taker` at once, as long as somebody waits in `read`, which gets what it refuses."""
        self._connection.hand_to(taker)

    async def read(self) -> bytes:
        """What has arrived since the last call; empty at the end. Raises UpstreamError where it breaks off."""
        return await self._connection.read()

    async def read_all(self, limit_bytes: int) -> bytes:
        """The whole rest of the body.

        Raises:
            UpstreamError: it broke off, or is longer than the limit.
        """
        parts: list[bytes] = []
        size = 0
        while data := await self._connection.read():
            parts.append(data)
            size += len(data)
            if size > limit_bytes:
                raise UpstreamError("the answer is too large")
        return parts[0] if len(parts) == 1 else b"".join(parts)


class UpstreamCall:
    """One request; `async with` sends it and waits for the answer's headers."""

    def __init__(self, client: "UpstreamClient", request: bytes) -> None:
        self._client = client
        self._request = request
        self._connection: UpstreamConnection | None = None
        self.sent = False
        """Whether the upstream may have seen the request."""

    async def __aenter__(self) -> UpstreamAnswer:
        connection = await self._client.acquire()
        self._connection = connection
        try:
            connection.send(self._request)
            self.sent = True
            await connection.wait_for_headers()
        except BaseException:
            connection.release()
            raise
        return UpstreamAnswer(connection)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.release()


class UpstreamClient:
    """`base_url` is `http(s)://host[:port][/prefix]`; idle connections are closed before the upstream would."""

    def __init__(self, base_url: str, *, connect_seconds: float, idle_seconds: float) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the upstream must be an http or https URL")
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._prefix = parts.path.rstrip("/").encode()
        self._host_header = b"host: " + parts.netloc.rpartition("@")[2].encode() + b"\r\n"
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
        parts = [method, b" ", self._prefix, path, b" HTTP/1.1\r\n", self._host_header]
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
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self._keep, self._forget), self._host, self._port, ssl=self._tls
                )
        except (OSError, ssl.SSLError, TimeoutError) as error:
            raise UpstreamUnreachableError(type(error).__name__) from error
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
