"""Has a checkpoint made every hour, by a process of its own: what it computes must not make a call wait."""

import asyncio
from datetime import datetime
from typing import Final

import structlog
from chassis.operate.process import Ended, run_command, verb_command
from contracts.codec import DECODE_ERRORS
from msgspec import Struct, json

from ledger.metrics import CHECKPOINT_FAILURES, CHECKPOINT_MADE

log = structlog.get_logger()

FIRST_SECONDS: Final = 20.0
"""A service that starts has other things to do."""
RETRY_SECONDS: Final = 300.0
TIMEOUT_SECONDS: Final = 2 * 3600.0
COMMAND: Final = verb_command("ledger", "checkpoint", "--due=1")


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
        ended = await run_command(COMMAND, timeout_seconds=TIMEOUT_SECONDS)
        if ended.code != 0:
            return self._fail(_words(ended))
        try:
            answer = json.decode(ended.out, type=_Answer)
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


def _words(ended: Ended) -> str:
    """What it said is wrong: a line of error, or the first finding on standard output."""
    try:
        finding = json.decode(ended.out, type=_Finding)
    except DECODE_ERRORS:
        return ended.last_words
    return f"the log is not what it was: {finding.account_id} {finding.reason}"
