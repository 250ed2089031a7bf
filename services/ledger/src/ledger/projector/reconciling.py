"""Has figures reconciled each night and each month, by a process of its own: reading a month takes a core a while."""

import asyncio
from datetime import date, datetime
from typing import Final

import structlog
from chassis.operate.process import run_command, verb_command
from contracts.codec import DECODE_ERRORS
from msgspec import Struct, field, json

from ledger.projector.metrics import (
    RECONCILED_AT,
    RECONCILED_COST_DIFFERENCE,
    RECONCILED_DIFFERENCE,
    RECONCILED_WITHIN,
    RECONCILING_FAILURES,
)

FIRST_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 900.0
LONGEST_PAUSE_SECONDS: Final = 3_600.0
TIMEOUT_SECONDS: Final = 4 * 3_600.0
COMMAND: Final = verb_command("ledger", "reconcile", "--due=1")

log = structlog.get_logger()


class _Result(Struct):
    trigger: str
    source: str
    first_day: date
    last_day: date
    ended_at: datetime
    difference_percent: float
    cost_difference_percent: float
    threshold_percent: float
    within_threshold: bool


class _Answer(Struct):
    due_in_seconds: float
    latest: list[_Result] = field(default_factory=list)


_decode: Final = json.Decoder(_Answer).decode


class Reconciling:
    """Any number of processes may run it: the verb that it runs makes each run once, whoever asks."""

    def __init__(self) -> None:
        self._failed: str | None = None
        self._beyond: list[str] = []

    async def check(self) -> str | None:
        """For an operator to see beside readiness: what could not be made, or what it found."""
        return self._failed or "; ".join(self._beyond) or None

    async def run(self) -> None:
        """Until cancelled; a failure is told, and tried again."""
        pause = FIRST_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = await self.look()

    async def look(self) -> float:
        """Has made what is due; returns when to look again, in seconds."""
        ended = await run_command(COMMAND, timeout_seconds=TIMEOUT_SECONDS)
        try:
            answer = _decode(ended.out) if ended.code == 0 else None
        except DECODE_ERRORS:
            answer = None
        if answer is None:
            self._failed = ended.last_words
            RECONCILING_FAILURES.inc()
            log.error("reconciling_failed", reason=self._failed)
            return RETRY_SECONDS
        self._failed = None
        self._beyond = []
        for result in answer.latest:
            self._tell(result)
        return min(LONGEST_PAUSE_SECONDS, max(1.0, answer.due_in_seconds))

    def _tell(self, result: _Result) -> None:
        labels = (result.trigger, result.source)
        RECONCILED_DIFFERENCE.labels(*labels).set(result.difference_percent)
        RECONCILED_COST_DIFFERENCE.labels(*labels).set(result.cost_difference_percent)
        RECONCILED_WITHIN.labels(*labels).set(result.within_threshold)
        RECONCILED_AT.labels(*labels).set(result.ended_at.timestamp())
        if not result.within_threshold:
            by = f"{result.difference_percent:g} % of tokens, {result.cost_difference_percent:g} % of cost"
            days = f"{result.first_day} to {result.last_day}"
            self._beyond.append(f"{days}: {result.source} differs by {by}; see reconcile")
