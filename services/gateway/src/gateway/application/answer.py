"""What a call needs of the connection to its client."""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from gateway.application.call import Call
from gateway.application.interruption import Interruption
from gateway.domain.headers import Headers
from gateway.domain.outages import Outage


class Answer(Protocol):
    """One HTTP answer in the making; writing to a client that left does nothing."""

    @property
    def started(self) -> bool:
        """Whether status and headers are sent."""

    @property
    def writing(self) -> bool:
        """Whether a write waits for the client to read."""

    @property
    def writable(self) -> bool:
        """Whether the client keeps up, so that `write_now` may be used."""

    def write_now(self, data: bytes) -> None:
        """Write without waiting; only while `writable`."""

    async def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer; `headers` without its length."""

    async def start(self, status: int, headers: Headers) -> None: ...

    async def write(self, data: bytes) -> None: ...

    async def finish(self, data: bytes = b"") -> None: ...

    async def last_word(self, data: bytes) -> None:
        """As `finish`, for a client that may not read any more."""


class Client(Struct, frozen=True, kw_only=True):
    """Who asks: the request's headers, the key's id, the way back, and how a failure is told within a stream.

    `upstream_errors_in_chat`: an upstream's 5xx is told as a message of the assistant. `on_kept` is told how many
    bytes of the request are still kept, and `on_sent` is called when none is needed any more.
    """

    headers: Mapping[bytes, bytes]
    key_id: str
    answer: Answer
    interruption: Interruption
    tell_in_stream: Callable[[Call, Outage, str], bytes]
    upstream_errors_in_chat: bool
    on_kept: Callable[[int], None]
    on_sent: Callable[[], None]
