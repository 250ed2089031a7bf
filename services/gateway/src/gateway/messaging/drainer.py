"""Publishes the journal to JetStream in order, for ever, and remembers how far it has come."""

import asyncio
import contextlib
import time
from typing import Final

import msgspec
import structlog
from chassis.backoff import Backoff
from chassis.core_nats.client import CoreNats
from chassis.jetstream import Message, publish_in_order, stream_info
from contracts.accounts import subject_token
from contracts.codec import DECODE_ERRORS
from contracts.events.registry import USAGE_RECORDED
from contracts.subjects import USAGE_STREAM, event_subject
from nats.errors import Error

from gateway import metrics
from gateway.journal.journal import Journal
from gateway.journal.position import PositionFile
from gateway.journal.segments import BEGINNING, Cursor

log = structlog.get_logger()

MAX_BATCH: Final = 500
BATCH_INTERVAL_SECONDS: Final = 0.2
"""Between the starts of two batches: at a high rate a batch carries many records, a lone record leaves at once.

Behind a full batch the next follows at once: usage is never held back more slowly than it is made.
"""
SAVE_INTERVAL_SECONDS: Final = 1.0
"""What a crash lets be published again: that is counted once, and a save takes as long as a hundred records."""
IDENTIFY_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.05
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0


class _Head(msgspec.Struct):
    """What is needed of a record to publish it."""

    id: str
    subject: str


_decode_head = msgspec.json.Decoder(_Head).decode
_FAILURES: Final = (Error, TimeoutError, OSError, *DECODE_ERRORS)


class Drainer:
    """One way for usage: what the journal has is published, and what a lost stream had is published again."""

    def __init__(self, journal: Journal, position_file: PositionFile, client: CoreNats) -> None:
        self._journal = journal
        self._position_file = position_file
        self._client = client
        self._position = position_file.load()
        self._saved_at = 0.0
        self._unsaved = False
        self._identified_at = float("-inf")
        self._caught_up_at = time.monotonic()
        self.failure: str | None = None
        """What keeps usage from being published; None while all is well."""
        journal.released_before = min(self._position.published, self._position.resend or self._position.published)

        metrics.JOURNAL_BACKLOG_BYTES.set_function(self.backlog_bytes)
        metrics.UNPUBLISHED_SECONDS.set_function(self.oldest_unpublished_seconds)

    async def check(self) -> str | None:
        """A readiness check."""
        return self.failure

    def backlog_bytes(self) -> int:
        """Bytes of the journal that no stream has acknowledged."""
        return self._journal.segments.bytes_between(self._position.published, self._journal.end)

    def oldest_unpublished_seconds(self) -> float:
        """For how long something has been waiting to be published."""
        if self.backlog_bytes() == 0:
            self._caught_up_at = time.monotonic()
        return time.monotonic() - self._caught_up_at

    async def run(self) -> None:
        """Publish until cancelled; every failure is tried again after a pause."""
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        try:
            while True:
                started = time.monotonic()
                try:
                    due_seconds = await self._publish_some()
                except _FAILURES as error:
                    self.failure = f"usage is not published: {type(error).__name__}"
                    if self.backlog_bytes() > 0:  # else readiness tells it, and nobody's usage waits
                        log.warning("usage_not_published", error=repr(error))
                    await backoff.pause()
                    continue
                backoff.reset()
                self.failure = None
                if due_seconds is None:
                    await self._wait_for_work()
                else:
                    await asyncio.sleep(max(0.0, due_seconds - (time.monotonic() - started)))
        finally:
            self._save()

    async def drain(self, seconds: float) -> bool:
        """Wait until everything is published; False when it isn't in time."""
        deadline = time.monotonic() + seconds
        while self.backlog_bytes() > 0:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True

    async def _publish_some(self) -> float | None:
        """One batch of new records, and one of those to be published again.

        Returns how long after this batch's start the next is due; None when there was neither.
        """
        if not self._client.is_connected:
            return None
        if time.monotonic() - self._identified_at > IDENTIFY_SECONDS:
            await self._identify_stream()
        lines, end = self._journal.segments.read(self._position.published, MAX_BATCH)
        if lines:
            await self._publish_new(lines, end)
        else:
            self._position.published = end  # past the torn last line of an older segment
        resent = await self._publish_again()
        if time.monotonic() - self._saved_at > SAVE_INTERVAL_SECONDS:
            self._save()
        if len(lines) == MAX_BATCH:
            return 0.0
        return BATCH_INTERVAL_SECONDS if lines or resent else None

    async def _publish_new(self, lines: list[bytes], end: Cursor) -> None:
        position = self._position
        messages = _messages(lines)
        start = position.published
        if messages:
            sequence = await publish_in_order(self._client, messages)
            if sequence < position.sequence:
                # The same stream, but without its end: it was restored from a copy.
                log.warning("usage_stream_lost", sequence=sequence, expected_above=position.sequence)
                position.resend, position.resend_until = BEGINNING, start
            position.sequence = sequence
            metrics.PUBLISHED.inc(len(messages))
        position.published = end
        self._caught_up_at = time.monotonic()
        self._unsaved = True

    async def _identify_stream(self) -> None:
        """Notice a stream that was created anew: with others writing to it, its sequences tell nothing."""
        position = self._position
        created = (await stream_info(self._client, USAGE_STREAM))["created"]
        if position.stream_created not in (None, created):
            log.warning("usage_stream_created_anew", created=created, known=position.stream_created)
            position.resend, position.resend_until, position.sequence = BEGINNING, position.published, 0
        if position.stream_created != created:
            position.stream_created = created
            self._unsaved = True
        self._identified_at = time.monotonic()

    async def _publish_again(self) -> bool:
        position = self._position
        if position.resend is None or position.resend_until is None:
            return False
        lines, end = self._journal.segments.read(position.resend, MAX_BATCH)
        if position.resend >= position.resend_until or not lines:
            log.info("usage_resent")
            position.resend = position.resend_until = None
        else:
            messages = _messages(lines)
            if messages:
                position.sequence = max(position.sequence, await publish_in_order(self._client, messages))
                metrics.RESENT.inc(len(messages))
            position.resend = end
        self._unsaved = True
        return True

    async def _wait_for_work(self) -> None:
        if self._unsaved:
            self._save()
        self._journal.appended.clear()
        if self.backlog_bytes() > 0 and self._client.is_connected:
            await asyncio.sleep(_LOOK_SECONDS)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._journal.appended.wait()
        if not self._client.is_connected:
            await asyncio.sleep(_FIRST_PAUSE_SECONDS)

    def _save(self) -> None:
        position = self._position
        self._saved_at = time.monotonic()
        self._journal.released_before = min(position.published, position.resend or position.published)
        try:
            self._position_file.save(position)
            self._unsaved = False
        except OSError as error:
            log.warning("journal_position_not_saved", error=str(error))


def _messages(lines: list[bytes]) -> list[Message]:
    messages: list[Message] = []
    for line in lines:
        try:
            head = _decode_head(line)
        except DECODE_ERRORS:
            metrics.UNREADABLE_LINES.inc()
            log.error("journal_line_unreadable", size=len(line))  # noqa: TRY400  the line itself is not for the log
            continue
        messages.append(Message(event_subject(USAGE_RECORDED, subject_token(head.subject)), line, head.id))
    return messages
