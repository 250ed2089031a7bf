"""Usage on disk: appended at once, made durable in groups, kept until it is published and for a day after."""

import asyncio
import contextlib
import fcntl
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import structlog

from gateway import metrics
from gateway.journal.segments import Cursor, Segments

log = structlog.get_logger()

SEGMENT_BYTES: Final = 64 * 1024 * 1024
SEGMENT_SECONDS: Final = 3600
SYNC_INTERVAL_SECONDS: Final = 0.1
RETRY_SECONDS: Final = 1.0
CLEANING_SECONDS: Final = 60.0
MAX_UNWRITTEN: Final = 20_000
"""Lines that wait in memory while the disk refuses them; new calls are refused meanwhile."""


class JournalInUseError(Exception):
    """Another process writes this journal: every gateway needs a data folder of its own."""


class Journal:
    """Append-only lines. An appended line survives the process at once, and a power cut after the next sync."""

    def __init__(self, directory: Path, *, keep_seconds: float, keep_bytes: int) -> None:
        self._directory = directory
        self._keep_seconds = keep_seconds
        self._keep_bytes = keep_bytes
        self.segments = Segments(directory)
        self.appended = asyncio.Event()
        self.failure: str | None = None
        """What keeps lines from being written; None while all is well."""
        self.lost_lines = 0
        self._unwritten: deque[bytes] = deque()
        self._dirty = asyncio.Event()
        self._file = -1
        self._number = self._size = 0
        self._torn = False
        self._started = 0.0
        self.released_before = Cursor(0, 0)
        """What lies before may be deleted when it is old enough; set by whoever publishes."""
        metrics.JOURNAL_WORKING.set_function(lambda: float(self.failure is None))
        metrics.JOURNAL_LOST.set_function(lambda: self.lost_lines)

    async def check(self) -> str | None:
        """A readiness check."""
        return self.failure

    @property
    def end(self) -> Cursor:
        return Cursor(self._number, self._size)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Let lines be appended in the block, to a new segment; at its end what is left is written and synced.

        Raises:
            JournalInUseError: another process has it.
            OSError: the folder can't be written.
        """
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._directory / "lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise JournalInUseError(str(self._directory)) from error
            self._start_segment()
            keeper = asyncio.create_task(self._keep(), name="journal")
            try:
                yield
            finally:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)
                self._write_unwritten()
                await self._sync(self._file)
                os.close(self._file)

    def append(self, line: bytes) -> None:
        """Write one line (without a line end). Never raises: what the disk refuses waits and is written later."""
        if self._unwritten:
            self._put_aside(line)
        else:
            self._write(line)
        self._dirty.set()

    def _write(self, line: bytes) -> None:
        data = line + b"\n"
        try:
            written = os.write(self._file, data)
        except OSError as error:
            self._refused(line, error)
            return
        if written < len(data):
            self._refused(line, OSError("the disk is full"))
            return
        self._size += len(data)
        self.appended.set()

    def _refused(self, line: bytes, error: OSError) -> None:
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._torn = True
        self._fail(error)
        self._put_aside(line)

    def _fail(self, error: Exception) -> None:
        if self.failure is None:
            log.error("journal_failed", error=repr(error))
        self.failure = (error.strerror if isinstance(error, OSError) else None) or repr(error)

    def _put_aside(self, line: bytes) -> None:
        if len(self._unwritten) >= MAX_UNWRITTEN:
            self.lost_lines += 1
            log.error("journal_line_lost", lost_lines=self.lost_lines)
        else:
            self._unwritten.append(line)

    # --- in the background --------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        cleaned_at = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await self._dirty.wait()
            try:
                if self._dirty.is_set() or self.failure is not None:
                    await self._make_durable()
                if time.monotonic() - cleaned_at > CLEANING_SECONDS:
                    cleaned_at = time.monotonic()
                    await asyncio.to_thread(self._delete_old)
            except Exception as error:  # whatever it is, the journal is synced and rotated again
                self._torn = True
                self._fail(error)
            await asyncio.sleep(SYNC_INTERVAL_SECONDS)

    async def _make_durable(self) -> None:
        self._dirty.clear()
        await self._recover()
        await self._sync(self._file)
        if self._size > SEGMENT_BYTES or time.monotonic() - self._started > SEGMENT_SECONDS:
            await self._rotate()

    async def _recover(self) -> None:
        if self.failure is None:
            return
        if self._torn:
            await self._rotate()
        if not self._torn:
            self.failure = None
            self._write_unwritten()
            if self.failure is None:
                log.info("journal_recovered")

    def _write_unwritten(self) -> None:
        waiting, self._unwritten = self._unwritten, deque()
        while waiting:
            line = waiting.popleft()
            self._write(line)
            if self._unwritten:
                self._unwritten.extend(waiting)
                return

    async def _sync(self, file: int) -> None:
        try:
            await asyncio.to_thread(os.fdatasync, file)
        except OSError as error:
            self._torn = True
            self._fail(error)

    async def _rotate(self) -> None:
        old = self._file
        try:
            self._start_segment()
        except OSError as error:
            self._fail(error)
            return
        await self._sync(old)
        os.close(old)

    def _start_segment(self) -> None:
        number = max([self._number, *self.segments.numbers()]) + 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self.segments.path(number), flags, 0o600)
        self._number, self._size, self._torn = number, 0, False
        self._started = time.monotonic()
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _delete_old(self) -> None:
        """Delete published segments that are older than a day, or the oldest of them when they take too much room."""
        numbers = self.segments.numbers()
        total = sum(self.segments.size(number) for number in numbers)
        for number in numbers:
            if number >= min(self.released_before.segment, self._number):
                return
            path = self.segments.path(number)
            too_old = time.time() - path.stat().st_mtime > self._keep_seconds
            if not too_old and total <= self._keep_bytes:
                return
            total -= self.segments.size(number)
            path.unlink(missing_ok=True)
