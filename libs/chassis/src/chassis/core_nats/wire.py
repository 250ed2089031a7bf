"""NATS' client protocol: bytes to messages and back, without a socket."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct
from nats.errors import ProtocolError

MAX_LINE_BYTES: Final = 1024 * 1024
"""The longest is INFO, with the addresses of a whole cluster."""
MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""As much as a server can be told to take."""
DEFAULT_MAX_PAYLOAD_BYTES: Final = 1024 * 1024
DEFAULT_PORT: Final = 4222
PING: Final = b"PING\r\n"
PONG: Final = b"PONG\r\n"
_VERSION: Final = b"NATS/1.0"
_END: Final = b"\r\n"


class Message(Struct, frozen=True):
    """`headers` as they came: a line with the protocol's version and perhaps a status, then `Name: value` lines."""

    subject: str
    reply: str
    payload: bytes
    headers: bytes = b""

    @property
    def status(self) -> str:
        """What the server tells by a message of its own, `408 Request Timeout`; empty on anybody else's message."""
        if self.payload or not self.headers:
            return ""
        return self.headers[len(_VERSION) : self.headers.find(_END)].strip().decode("ascii", "replace")

    def header(self, name: str) -> str | None:
        """The first value under this name, which is compared as it is written."""
        for line in self.headers.split(_END)[1:]:
            found, separator, value = line.partition(b":")
            if separator and found.decode("utf-8", "replace") == name:
                return value.strip().decode("utf-8", "replace")
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What a server tells of itself. `max_payload_bytes` bounds a message's headers and payload together; `addresses`
    (host, port) are those of its whole cluster."""

    name: str = ""
    max_payload_bytes: int = DEFAULT_MAX_PAYLOAD_BYTES
    tls_required: bool = False
    addresses: tuple[tuple[str, int], ...] = ()


class Parser:
    """Feed it what arrives; it hands on each message with its subscription's id, and each other line as it is."""

    def __init__(self, on_message: Callable[[bytes, Message], None], on_line: Callable[[bytes], None]) -> None:
        self._on_message = on_message
        self._on_line = on_line
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take in bytes; an incomplete message waits for the rest.

        Raises:
            ProtocolError: this is not NATS.
        """
        buffer = self._rest + data if self._rest else data
        position = 0
        while (line_end := buffer.find(_END, position)) >= 0:
            if buffer.startswith((b"MSG ", b"HMSG "), position):
                after = self._take_message(buffer, position, line_end)
                if after < 0:
                    break
                position = after
            else:
                self._on_line(buffer[position:line_end])
                position = line_end + 2
        self._rest = buffer[position:]
        if line_end < 0 and len(self._rest) > MAX_LINE_BYTES:
            raise ProtocolError

    def _take_message(self, buffer: bytes, start: int, line_end: int) -> int:
        """`MSG subject sid [reply] size`, or `HMSG subject sid [reply] header-size size`; returns -1 if incomplete."""
        try:
            operation, subject, sid, *reply, size = buffer[start:line_end].split()
            length = int(size)
            header_length = int(reply.pop()) if operation == b"HMSG" else 0
        except (ValueError, IndexError):
            raise ProtocolError from None
        if not 0 <= header_length <= length <= MAX_MESSAGE_BYTES or len(reply) > 1:
            raise ProtocolError
        body = line_end + 2
        end = body + length
        if len(buffer) < end + 2:
            return -1
        payload_start = body + header_length
        # Servers pass on, and streams keep, subjects of any bytes: one that is no text must not cost the connection.
        self._on_message(
            sid,
            Message(
                subject.decode("utf-8", "replace"),
                reply[0].decode("utf-8", "replace") if reply else "",
                buffer[payload_start:end],
                buffer[body:payload_start],
            ),
        )
        return end + 2


def publication(subject: str, payload: bytes, reply: str = "", headers: Mapping[str, str] | None = None) -> bytes:
    """One message on its way to the server.

    Raises:
        ValueError: a subject or a header would break the protocol's lines.
    """
    address = f"{subject} {reply}" if reply else subject
    if address.split() != ([subject, reply] if reply else [subject]):
        raise ValueError("a subject is one word")
    if not headers:
        return b"PUB %b %d\r\n%b\r\n" % (address.encode(), len(payload), payload)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header is one line")
    head = b"%b\r\n%b\r\n\r\n" % (_VERSION, "\r\n".join(lines).encode())
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (address.encode(), len(head), len(head) + len(payload), head, payload)


def counted_bytes(published: bytes) -> int:
    """How much of a `publication` a server holds against its `max_payload`: headers and payload."""
    return int(published[: published.index(_END)].rpartition(b" ")[2])


def subscription(subject: str, sid: bytes, queue: str = "") -> bytes:
    """From now on messages on this subject come with this id; within a queue group one member gets each.

    Raises:
        ValueError: subject or group would break the protocol's lines.
    """
    if f"{subject} {queue}".split() != ([subject, queue] if queue else [subject]):
        raise ValueError("a subject is one word")
    return b"SUB %b %b%b\r\n" % (subject.encode(), queue.encode() + b" " if queue else b"", sid)


def unsubscription(sid: bytes) -> bytes:
    return b"UNSUB %b\r\n" % sid


def server_info(text: bytes) -> ServerInfo:
    """What follows `INFO`.

    Raises:
        ProtocolError: this is not what a NATS server says.
    """
    try:
        info = json.loads(text)
        return ServerInfo(
            name=str(info.get("server_name", "")),
            max_payload_bytes=int(info.get("max_payload", DEFAULT_MAX_PAYLOAD_BYTES)),
            tls_required=bool(info.get("tls_required")),
            addresses=tuple(server_address(f"//{each}") for each in info.get("connect_urls") or ()),
        )
    except (ValueError, TypeError, AttributeError, ArithmeticError):
        raise ProtocolError from None


def server_urls(text: str) -> list[str]:
    """One server, or several with commas between.

    Raises:
        ValueError: one of them is none.
    """
    urls = [url.strip() for url in text.split(",")]
    if any(urlsplit(url).scheme not in ("nats", "tls") for url in urls):
        raise ValueError("the URL of a NATS server begins with nats:// or tls://")
    return urls


def server_address(url: str) -> tuple[str, int]:
    """Host and port.

    Raises:
        ValueError: there is no host, or the port is none.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("not the address of a NATS server")
    return parts.hostname, parts.port or DEFAULT_PORT
