"""Has a checkpoint made every hour, by a process of its own: what it computes must not make a call wait."""

import asyncio
import contextlib
import sys
from datetime import datetime
from typing import Final

import structlog
from contracts.codec import DECODE_ERRORS
from msgspec import Struct, json

from ledger.metrics import CHECKPOINT_FAILURES, CHECKPOINT_MADE

log = structlog.get_logger()

FIRST_SECONDS: Final = 20.0
"""A service that starts has other things to do."""
RETRY_SECONDS: Final = 300.0
TIMEOUT_SECONDS: Final = 2 * 3600.0
COMMAND: Final = (sys.executable, "-m", "ledger.operate", "checkpoint", "--due=1")


class _Statement(Struct):
    number: int
    made_at: datetime


class _Answer(Struct):
    statement: _Statement | None = None
    due_in_seconds: int | None = None
    not_removed: str | None = None


class _Finding(Struct):
    account_id: str
    reason: str


class HourlyCheckpoints:
    """Any number of processes may run it: the verb that it runs makes one where one is due, whoever asks."""

    def __init__(self, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self._failed: str | None = None

    async def check(self) -> str | None:
        """For an operator to see beside readiness: why the last one could not be made."""
        return self._failed

    async def run(self) -> None:
        """Until cancelled; a failure is told, and tried again."""
        pause = min(FIRST_SECONDS, self._every_seconds)
        while True:
            await asyncio.sleep(pause)
            pause = await self._make()

    async def _make(self) -> float:
        """Returns when to look again, in seconds."""
        code, out, err = await _run()
        if code != 0:
            return self._fail(_words(out, err))
        try:
            answer = json.decode(out, type=_Answer)
        except DECODE_ERRORS as error:  # perhaps there is a checkpoint, and nobody knows
            return self._fail(f"its answer can't be read: {error}")
        if answer.statement is None and answer.due_in_seconds is None:
            return self._fail("its answer tells of no checkpoint")
        self._failed = None
        if answer.statement is not None:
            CHECKPOINT_MADE.set(answer.statement.made_at.timestamp())
            if answer.due_in_seconds is None:
                log.info("checkpoint_made", number=answer.statement.number)
        if answer.not_removed is not None:
            log.warning("checkpoints_not_removed", reason=answer.not_removed)
        if answer.due_in_seconds is not None:
            return max(1.0, answer.due_in_seconds)
        return self._every_seconds

    def _fail(self, reason: str) -> float:
        self._failed = reason
        CHECKPOINT_FAILURES.inc()
        log.error("checkpoint_failed", reason=reason)
        return min(RETRY_SECONDS, self._every_seconds)


async def _run() -> tuple[int, bytes, bytes]:
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
    except OSError as error:
        return 1, b"", f"error: no process for it: {error.strerror}".encode()
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            out, err = await process.communicate()
    except TimeoutError:
        return 1, b"", b"error: it took too long"
    finally:
        # Also where this service ends: what is half made leaves nothing behind.
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    return process.returncode or 0, out, err


def _words(out: bytes, err: bytes) -> str:
    """What it said is wrong: a line of error, or the first finding on standard output."""
    try:
        finding = json.decode(out, type=_Finding)
    except DECODE_ERRORS:
        pass
    else:
        return f"the log is not what it was: {finding.account_id} {finding.reason}"
    text = (err or out).decode(errors="replace").strip()
    return text.splitlines()[-1][:500] if text else "it said nothing"
