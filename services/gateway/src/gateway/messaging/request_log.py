"""Tells the request log on JetStream how requests ended: from memory alone, which is bounded, and beside the calls."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog
from chassis.backoff import Backoff
from chassis.core_nats.client import CoreNats
from chassis.jetstream import MAX_ATOMIC_BATCH, JetStreamError, Message, publish_in_order
from contracts.accounts import subject_token
from contracts.codec import encode
from contracts.requests import RequestEnded
from contracts.subjects import request_subject
from nats.errors import Error, MaxPayloadError

from gateway import metrics

log = structlog.get_logger()

MAX_WAITING_BYTES: Final = 32 * 1024 * 1024
"""Of lines that NATS has not taken yet: some 40,000 without bodies. What comes beyond them is lost, and counted."""
MAX_LINE_BYTES: Final = 900 * 1024
"""A message of JetStream's is 1 MiB at most, headers included."""
MAX_BATCH_BYTES: Final = 1024 * 1024
BATCH_INTERVAL_SECONDS: Final = 1.0
"""Between the starts of two batches: nobody waits for a line, and a batch costs by itself, whatever it holds.

Behind a full one the next follows at once.
"""
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.05
_LOGGED_EVERY: Final = 10_000
_MESSAGE_TOO_LARGE: Final = 10054
"""JetStream's own number."""


class RequestLog:
    """Nothing of it waits, fails or slows a call; a line that can't be told is lost, and `request_lines_lost` says so.

    Kept on disk the lines would be a second store of what is personal, with a retention of its own, on each gateway.
    """

    def __init__(self, client: CoreNats) -> None:
        self._client = client
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._lost = 0
        self._added = asyncio.Event()
        self._publishing = asyncio.Lock()
        metrics.REQUEST_LINES_WAITING.set_function(lambda: len(self._waiting))

    def add(self, line: RequestEnded) -> None:
        """Tell this line soon; one for which there is no room is lost."""
        payload = encode(line)
        if len(payload) > MAX_LINE_BYTES:
            self._lose("too_large")
        elif self._bytes + len(payload) > MAX_WAITING_BYTES:
            self._lose("no_room")
        else:
            subject = request_subject(subject_token(line.account_id))
            self._waiting.append(Message(subject, payload, line.request_id))
            self._bytes += len(payload)
            self._added.set()

    async def run(self) -> None:
        """Publish until cancelled; every failure is tried again after a pause."""
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        loop = asyncio.get_running_loop()
        while True:
            await self._added.wait()
            self._added.clear()
            started = loop.time()
            try:
                was_full = await self._publish_batch()
            except (Error, OSError, TimeoutError) as error:
                log.debug("requests_not_told", error=repr(error))  # the connection's own loss is told elsewhere
                self._added.set()
                await backoff.pause()
                continue
            backoff.reset()
            if self._waiting:
                self._added.set()
            if not was_full:
                await asyncio.sleep(BATCH_INTERVAL_SECONDS - (loop.time() - started))

    async def flush(self, seconds: float) -> bool:
        """Publish all that waits now; False when that isn't done in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._waiting:
                    try:
                        await self._publish_batch()
                    except (Error, OSError):
                        await asyncio.sleep(_LOOK_SECONDS)
        return not self._waiting

    @property
    def waiting(self) -> int:
        """Lines that NATS has not taken yet."""
        return len(self._waiting)

    async def _publish_batch(self) -> bool:
        """The oldest lines, as many as fit into one batch; whether there are more."""
        async with self._publishing:
            batch = self._oldest()
            if not batch:
                return False
            try:
                await publish_in_order(self._client, batch)
            except Error as error:
                if not _is_for_size(error):
                    raise
                await self._publish_singly(batch)
            else:
                metrics.REQUEST_LINES_TOLD.inc(len(batch))
                self._forget(len(batch))
            return bool(self._waiting)

    async def _publish_singly(self, batch: Sequence[Message]) -> None:
        """Where the server takes smaller messages than JetStream itself would: those that are too large are lost."""
        for message in batch:
            try:
                await publish_in_order(self._client, [message])
            except Error as error:
                if not _is_for_size(error):
                    raise
                self._lose("too_large")
            else:
                metrics.REQUEST_LINES_TOLD.inc()
            self._forget(1)

    def _oldest(self) -> list[Message]:
        batch: list[Message] = []
        size = 0
        for message in self._waiting:
            size += len(message.payload)
            if batch and (size > MAX_BATCH_BYTES or len(batch) == MAX_ATOMIC_BATCH):
                break
            batch.append(message)
        return batch

    def _forget(self, number: int) -> None:
        for _ in range(number):
            self._bytes -= len(self._waiting.popleft().payload)

    def _lose(self, reason: str) -> None:
        metrics.REQUEST_LINES_LOST.labels(reason).inc()
        self._lost += 1
        if self._lost % _LOGGED_EVERY == 1:
            log.warning("request_line_lost", reason=reason, lost=self._lost)


def _is_for_size(error: Error) -> bool:
    return isinstance(error, MaxPayloadError) or (
        isinstance(error, JetStreamError) and error.code == _MESSAGE_TOO_LARGE
    )
