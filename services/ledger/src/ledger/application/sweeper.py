"""Finds what time alone makes due: holds past their deadline, cycles and lots past their end."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS
from contracts.errors import SolarisError

from ledger.application.executor import BusyError, Executor
from ledger.application.submission import Kind
from ledger.domain.commands import AdvanceAccount, Command, ExpireReservation
from ledger.domain.decision import Ended
from ledger.metrics import EXPIRED

log = structlog.get_logger()

WORK_PER_TICK: Final = 500

_EXPIRED_HOLDS: Final = """
SELECT account_id, reservation_id FROM ledger.holds
WHERE state = 'open' AND expires_at <= least($1, clock_timestamp()) ORDER BY expires_at LIMIT $2
"""
_DUE_ACCOUNTS: Final = """
SELECT account_id FROM ledger.accounts WHERE due_at <= clock_timestamp() ORDER BY due_at LIMIT $1
"""

type UsagePassed = Callable[[], Awaitable[datetime | None]]
"""Up to which time all recorded usage is decided; None when that can't be told now."""


class Sweeper:
    """Bounded work per tick; what is left over comes with the next."""

    def __init__(
        self, pool: asyncpg.Pool, executor: Executor, usage_passed: UsagePassed, *, tick_seconds: float = 1.0
    ) -> None:
        self._pool = pool
        self._executor = executor
        self._usage_passed = usage_passed
        self._tick_seconds = tick_seconds

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                busy = await self.sweep()
            except DATABASE_ERRORS as error:
                log.warning("sweep_failed", error=repr(error))
                busy = False
            await asyncio.sleep(0 if busy else self._tick_seconds)

    async def sweep(self) -> bool:
        """One tick; True when there may be more to do at once.

        A hold expires only once all usage that was recorded before its deadline is decided, so a ledger that was down
        reads its backlog first.
        """
        commands: list[Command] = [
            AdvanceAccount(account_id=row[0]) for row in await self._pool.fetch(_DUE_ACCOUNTS, WORK_PER_TICK)
        ]
        passed = await self._usage_passed()
        if passed is not None:
            rows = await self._pool.fetch(_EXPIRED_HOLDS, passed, WORK_PER_TICK)
            commands += [ExpireReservation(account_id=row[0], reservation_id=row[1]) for row in rows]
        changed = await self._execute(commands)
        return changed >= WORK_PER_TICK

    async def _execute(self, commands: list[Command]) -> int:
        changed = 0
        futures = []
        for command in commands:
            try:
                futures.append(self._executor.submit(command, Kind.SWEEPER))
            except BusyError:
                break
        for future in futures:
            try:
                answer = await future
            except SolarisError:
                log.exception("sweep_refused")
                continue
            changed += 1
            if isinstance(answer, Ended) and answer.changed:
                EXPIRED.inc()
        return changed
