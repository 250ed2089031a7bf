"""One HTTP exchange over ASGI: headers and body in, an answer out, and news of a client that left."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from gateway.application.interruption import Cause, Interruption
from gateway.application.kept_bodies import KeptBodies
from gateway.domain.errors import InvalidRequestError
from gateway.domain.headers import EVENT_STREAM, Headers
from gateway.http.client_connection import CLIENT_CONNECTION, ClientConnection

type Message = MutableMapping[str, Any]  # Any: ASGI's own message shape
type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

LAST_WORD_SECONDS: Final = 1.0
_SINGLE: Final = (b"authorization", b"x-user-id", b"x-api-key")


class ClientLeftError(Exception):
    """The client closed the connection before its request was read."""


class Exchange:
    """Headers by lower-case name, the first of repeated ones; a write to a client that left does nothing."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.receive = receive
        self._send = send
        self._connection: ClientConnection = scope["extensions"][CLIENT_CONNECTION]["connection"]
        self._on_lost: Callable[[object], None] | None = None
        self._raw_headers: Headers = scope["headers"]
        self.headers = dict(reversed(self._raw_headers))
        self._client: tuple[str, int] | None = scope["client"]
        self.started = False
        self.status = 0
        """Of the answer; 0 as long as there is none."""
        self.kept: KeptBodies | None = None
        """What is told of bodies; None where nobody wants that."""
        self._answer_headers: Headers = []
        self.writing = False

    def check_headers(self) -> None:
        """Refuse headers that name two keys or two users.

        Raises:
            InvalidRequestError: one of them stands twice with different values.
        """
        if len(self.headers) == len(self._raw_headers):
            return
        for name in _SINGLE:
            if len({value for key, value in self._raw_headers if key == name}) > 1:
                raise InvalidRequestError(f"the header {name.decode()} stands twice with different values")

    def stop_when_client_leaves(self, interruption: Interruption) -> None:
        """From now on, until `stay`."""

        def stop(_: object) -> None:
            interruption.stop(Cause.CLIENT_LEFT)

        self._on_lost = stop
        self._connection.lost.add_done_callback(stop)

    def stay(self) -> None:
        """The call has ended: the connection's end concerns it no more."""
        if self._on_lost is not None:
            self._connection.lost.remove_done_callback(self._on_lost)
            self._on_lost = None

    @property
    def peer(self) -> str:
        """The address from which the connection was made; empty where it has none."""
        return self._client[0] if self._client is not None else ""

    @property
    def forwarded_for(self) -> bytes:
        """`X-Forwarded-For` as one list: a proxy may add a line of its own behind whatever its caller wrote."""
        return b",".join([value for name, value in self._raw_headers if name == b"x-forwarded-for"])

    @property
    def request_came(self) -> bool:
        return self._connection.request_came

    @property
    def client_left(self) -> bool:
        return self._connection.lost.done()

    async def start(self, status: int, headers: Headers) -> None:
        self.started, self.status = True, status
        self._answer_headers = headers
        try:
            await self._send({"type": "http.response.start", "status": status, "headers": headers})
        except asyncio.CancelledError:
            # It waited for a client that had not read what came before: nothing was sent.
            self.started, self.status = False, 0
            raise

    @property
    def streams_events(self) -> bool:
        """Whether the answer that was started is an event stream."""
        return any(
            name == b"content-type" and value.lower().startswith(EVENT_STREAM) for name, value in self._answer_headers
        )

    @property
    def writable(self) -> bool:
        return self.started and not self.writing and self._connection.writable

    def write_now(self, data: bytes) -> None:
        self._keep(data)
        self._connection.write_chunk(data)

    async def write(self, data: bytes) -> None:
        self._keep(data)
        self.writing = True
        try:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        finally:
            self.writing = False

    async def finish(self, data: bytes = b"") -> None:
        self._keep(data)
        self.writing = True
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def last_word(self, data: bytes) -> None:
        """As `finish`, for a client that may not read any more: it is waited for but a little."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD_SECONDS):
                await self.finish(data)

    async def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer at once; `headers` without its length."""
        if self._connection.answer(status, headers, body):
            self._keep(body)
            self.started, self.status = True, status
            return
        await self.start(status, [*headers, (b"content-length", str(len(body)).encode())])
        await self.finish(body)

    def _keep(self, data: bytes) -> None:
        if self.kept is not None:
            self.kept.add_to_answer(data)
