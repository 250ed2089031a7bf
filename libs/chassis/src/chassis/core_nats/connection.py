"""One connection to one server: greeting, keep-alive, and writes that are gathered for one turn of the event loop."""

import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self, cast
from urllib.parse import unquote, urlsplit

import structlog
from nats.errors import AuthorizationError, ConnectionClosedError, Error, OutboundBufferLimitError, ProtocolError

from chassis.core_nats.wire import PING, PONG, Message, Parser, ServerInfo, server_info

log = structlog.get_logger()

PING_SECONDS: Final = 10.0
MAX_UNANSWERED_PINGS: Final = 2
MAX_UNSENT_BYTES: Final = 8 * 1024 * 1024
HIGH_WATER_BYTES: Final = 512 * 1024
_LOGIN_REFUSED: Final = ("authorization", "authentication", "user authentication", "account authentication")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who connects. A `user` without a password is a token."""

    name: str
    user: str | None
    password: str | None

    @classmethod
    def of(cls, url: str, *, name: str) -> Self:
        """Whom the URL of a server names."""
        parts = urlsplit(url)
        return cls(
            name=name,
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    def options(self) -> dict[str, object]:
        options: dict[str, object] = {
            "verbose": False,
            "pedantic": False,
            "lang": "python",
            "version": "1",
            "protocol": 1,
            "headers": True,
            "no_responders": True,
            "name": self.name,
        }
        if self.user is not None and self.password is not None:
            options |= {"user": self.user, "pass": self.password}
        elif self.user is not None:
            options["auth_token"] = self.user
        return options


class Connection(asyncio.Protocol):
    """`lost` is done when the connection has ended, whoever ended it; `refusal` is what the server had to say.

    `on_refusal` gets each of the server's error messages.
    """

    def __init__(
        self, login: Login, on_message: Callable[[bytes, Message], None], on_refusal: Callable[[str], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._login = login
        self._on_message = on_message
        self._on_refusal = on_refusal
        self._parser = Parser(_refuse_message, self._take_line)
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._writable = asyncio.Event()
        self._writable.set()
        self._pongs: list[asyncio.Future[None]] = []
        self._unanswered_pings = 0
        self._greeting: asyncio.Future[ServerInfo] = self._loop.create_future()
        self._pinger: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.refusal: Error | None = None
        self.info = ServerInfo()

    async def greet(self, tls: ssl.SSLContext | None, host: str) -> None:
        """Log in, over TLS where there is a context or the server demands it; afterwards the connection is of use.

        Raises:
            nats.errors.Error: the server refused, or is no NATS server.
            OSError: the connection broke.
        """
        info = await self._greeting
        if tls is None and info.tls_required:
            tls = ssl.create_default_context()
        if tls is not None:
            await self._encrypt(tls, host)
        # A new one: nothing that came before encryption may pass for a message, nor for the beginning of one.
        self._parser = Parser(self._on_message, self._take_line)
        self.send(b"CONNECT %b\r\n" % json.dumps(self._login.options()).encode())
        await self.flush()
        self._pinger = self._loop.call_later(PING_SECONDS, self._keep_alive)

    def send(self, data: bytes) -> None:
        """Write with all else of this turn of the event loop.

        Raises:
            OutboundBufferLimitError: the server does not read.
            ConnectionClosedError: the connection has ended.
        """
        if self._transport is None:
            raise ConnectionClosedError
        if self._outgoing_bytes + self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise OutboundBufferLimitError
        if not self._outgoing:
            self._loop.call_soon(self._write)
        self._outgoing.append(data)
        self._outgoing_bytes += len(data)

    async def flush(self) -> None:
        """Wait until the server has taken in all that was sent before.

        Raises:
            nats.errors.Error: the connection ended first.
        """
        self.send(PING)
        pong = self._loop.create_future()
        self._pongs.append(pong)
        await pong

    async def writable(self) -> None:
        """Wait while the server reads more slowly than we write; returns when the connection ends, too."""
        await self._writable.wait()

    def close(self) -> None:
        """Write what waits, then end the connection."""
        if self._transport is not None:
            self._write()
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _encrypt(self, tls: ssl.SSLContext, host: str) -> None:
        assert self._transport is not None, "the server has greeted"
        encrypted = await self._loop.start_tls(self._transport, self, tls, server_hostname=host)
        if encrypted is None:
            raise ConnectionClosedError
        self._transport = encrypted

    def _write(self) -> None:
        outgoing, self._outgoing, self._outgoing_bytes = self._outgoing, [], 0
        if outgoing and self._transport is not None:
            self._transport.write(b"".join(outgoing))

    def _keep_alive(self) -> None:
        if self.lost.done() or self._unanswered_pings >= MAX_UNANSWERED_PINGS:
            self.abort()
            return
        self._unanswered_pings += 1
        self._pongs.append(self._loop.create_future())
        self._send_or_abort(PING)
        self._pinger = self._loop.call_later(PING_SECONDS, self._keep_alive)

    def _send_or_abort(self, data: bytes) -> None:
        try:
            self.send(data)
        except Error:
            self.abort()

    def _take_line(self, line: bytes) -> None:
        operation = line[:4].upper()
        if operation == b"PONG":
            self._unanswered_pings = 0
            if self._pongs and not (pong := self._pongs.pop(0)).done():
                pong.set_result(None)
        elif operation == b"PING":
            self._send_or_abort(PONG)
        elif operation == b"INFO":
            self.info = server_info(line[4:])
            if not self._greeting.done():
                self._greeting.set_result(self.info)
        elif operation == b"-ERR":
            self._take_error(line[4:].strip(b" '").decode("utf-8", "replace"))
        elif operation != b"+OK":
            raise ProtocolError

    def _take_error(self, text: str) -> None:
        # Permissions concern one subject; after almost anything else the server closes the connection.
        if not text.lower().startswith("permissions violation"):
            self.refusal = AuthorizationError() if text.lower().startswith(_LOGIN_REFUSED) else Error(text)
        self._on_refusal(text)

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # create_connection always gives a Transport
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
        except (ProtocolError, ValueError) as error:
            log.warning("nats_unintelligible", error=repr(error))
            self.refusal = ProtocolError()
            self.abort()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._writable.set()
        if self._pinger is not None:
            self._pinger.cancel()
        reason = self.refusal or ConnectionClosedError()
        unanswered: list[asyncio.Future[Any]] = [self._greeting, *self._pongs]
        for waiting in unanswered:
            if not waiting.done():
                waiting.set_exception(reason)
                waiting.exception()
        self._pongs.clear()
        if not self.lost.done():
            self.lost.set_result(None)


def _refuse_message(_: bytes, __: Message) -> None:
    raise ProtocolError
