"""Tells the request log on JetStream how requests ended: from memory alone, which is bounded, and beside the calls."""

import asyncio
import contextlib
from collections import deque
from typing import Final

import structlog
from chassis.backoff import Backoff
from chassis.core_nats.client import CoreNats
from chassis.jetstream import JetStreamError, Message, publish_in_order
from contracts.codec import encode
from contracts.requests import RequestEnded
from contracts.subjects import REQUESTS_ENDED
from msgspec import Struct
from nats.errors import Error, MaxPayloadError

from gateway import metrics

log = structlog.get_logger()

MAX_WAITING_BYTES: Final = 32 * 1024 * 1024
"""Of lines that NATS has not taken yet: some 40,000 without bodies. What comes beyond them is lost, and counted."""
MAX_LINE_BYTES: Final = 900 * 1024
"""A message of JetStream's is 1 MiB at most, headers included."""
MAX_MESSAGE_BYTES: Final = 512 * 1024
"""Of several lines, some 700 of them; a longer one is told alone."""
INTERVAL_SECONDS: Final = 1.0
"""Between the starts of two messages: nobody waits for a line, and a message costs by itself, whatever it holds.

Behind a full one the next follows at once.
"""
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.05
_LOGGED_EVERY: Final = 10_000
_LOG_SECONDS: Final = 60.0
_MESSAGE_TOO_LARGE: Final = 10054
"""JetStream's own number."""

type Line = tuple[str, bytes]
"""A request's id, and what is told of it."""


class _Told(Struct, frozen=True):
    """A message of so many of the oldest lines; `is_full`: there were more than fit into it."""

    message: Message
    lines: int
    is_full: bool


class RequestLog:
    """Nothing of it waits, fails or slows a call; a line that can't be told is lost, and `request_lines_lost` says so.

    Kept on disk the lines would be a second store of what is personal, with a retention of its own, on each gateway.
    """

    def __init__(self, client: CoreNats) -> None:
        self._client = client
        self._waiting: deque[Line] = deque()
        self._bytes = 0
        self._lost = 0
        self._logged_at = float("-inf")
        self._most_bytes = MAX_MESSAGE_BYTES
        self._message: _Told | None = None
        """What is being told: told again under its id it must be the very same."""
        self._added = asyncio.Event()
        self._publishing = asyncio.Lock()
        metrics.REQUEST_LINES_WAITING.set_function(lambda: len(self._waiting))

    def add(self, line: RequestEnded) -> None:
        """Tell this line soon; one for which there is no room is lost."""
        told = encode(line)
        if len(told) > MAX_LINE_BYTES:
            self._lose("too_large")
        elif self._bytes + len(told) > MAX_WAITING_BYTES:
            self._lose("no_room")
        else:
            self._waiting.append((line.request_id, told))
            self._bytes += len(told)
            self._added.set()

    @property
    def waiting(self) -> int:
        """Lines that NATS has not taken yet."""
        return len(self._waiting)

    async def run(self) -> None:
        """Publish until cancelled; every failure is tried again after a pause."""
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        loop = asyncio.get_running_loop()
        while True:
            await self._added.wait()
            self._added.clear()
            started = loop.time()
            try:
                was_full = await self._publish_oldest()
            except (Error, OSError) as error:
                self._tell_rarely(error, loop.time())
                self._added.set()
                await backoff.pause()
                continue
            backoff.reset()
            if self._waiting:
                self._added.set()
            if not was_full:
                await asyncio.sleep(INTERVAL_SECONDS - (loop.time() - started))

    async def flush(self, seconds: float) -> bool:
        """Publish all that waits now; False when that isn't done in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._waiting:
                    try:
                        await self._publish_oldest()
                    except (Error, OSError):
                        await asyncio.sleep(_LOOK_SECONDS)
        return not self._waiting

    async def _publish_oldest(self) -> bool:
        """One message of the oldest lines; whether it was full."""
        async with self._publishing:
            if not self._waiting:
                return False
            told = self._message = self._message or self._oldest()
            try:
                await publish_in_order(self._client, [told.message])
            except Error as error:
                if not _is_for_size(error):
                    raise
                self._make_smaller(told.lines)
                return True
            metrics.REQUEST_LINES_TOLD.inc(told.lines)
            self._forget(told.lines)
            return told.is_full

    def _oldest(self) -> "_Told":
        lines: list[bytes] = []
        size = 0
        for _, told in self._waiting:
            size += len(told) + 1
            if lines and size > self._most_bytes:
                break
            lines.append(told)
        message = Message(REQUESTS_ENDED, b"\n".join(lines), self._waiting[0][0])
        return _Told(message, len(lines), is_full=len(lines) < len(self._waiting))

    def _make_smaller(self, number: int) -> None:
        """The server takes smaller messages than we make; a line that is too large by itself is lost."""
        self._message = None
        if number == 1:
            self._lose("too_large")
            self._forget(1)
        self._most_bytes = max(1, self._most_bytes // 2)

    def _forget(self, number: int) -> None:
        self._message = None
        for _ in range(number):
            self._bytes -= len(self._waiting.popleft()[1])

    def _tell_rarely(self, error: Exception, now: float) -> None:
        """The connection's own loss is told elsewhere; a stream that is missing, full, or not ours to tell, is not."""
        if self._client.is_connected and now - self._logged_at >= _LOG_SECONDS:
            self._logged_at = now
            log.warning("requests_not_told", error=repr(error), waiting=len(self._waiting))

    def _lose(self, reason: str) -> None:
        metrics.REQUEST_LINES_LOST.labels(reason).inc()
        self._lost += 1
        if self._lost % _LOGGED_EVERY == 1:
            log.warning("request_line_lost", reason=reason, lost=self._lost)


def _is_for_size(error: Error) -> bool:
    return isinstance(error, MaxPayloadError) or (
        isinstance(error, JetStreamError) and error.code == _MESSAGE_TOO_LARGE
    )
