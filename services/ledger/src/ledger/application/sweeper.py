"""Finds what time alone makes due: holds past their deadline, cycles and lots past their end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS
from contracts.errors import SolarisError

from ledger.application.executor import BusyError, Executor
from ledger.application.submission import Kind
from ledger.domain.commands import AdvanceAccount, Command, ExpireReservation
from ledger.domain.decision import Ended
from ledger.metrics import EXPIRED, OVERDUE_HOLD_SECONDS, SWEEPER_BACKLOG
from ledger.store.due import (
    DueAccount,
    DueHold,
    load_database_time,
    load_due_accounts,
    load_expired_holds,
    load_oldest_open_hold,
)

log = structlog.get_logger()

PAGE: Final = 500
MAX_PAGES: Final = 20
"""In one tick; what is left over comes with the next, which goes on behind it."""

type UsagePassed = Callable[[], Awaitable[datetime | None]]
"""Up to which time all recorded usage is decided; None when that can't be told now."""


class Sweeper:
    """Bounded work per tick, page by page: what can't be changed keeps nothing behind it waiting."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        executor: Executor,
        usage_passed: UsagePassed,
        *,
        hold_ttl: timedelta,
        tick_seconds: float = 1.0,
    ) -> None:
        self._pool = pool
        self._executor = executor
        self._usage_passed = usage_passed
        self._hold_ttl = hold_ttl
        self._tick_seconds = tick_seconds
        self._account = DueAccount()
        self._hold = DueHold()

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except DATABASE_ERRORS as error:
                log.warning("sweep_failed", error=repr(error))
            await asyncio.sleep(self._tick_seconds)

    async def sweep(self) -> None:
        """One tick.

        A hold expires only once all usage that was recorded before its deadline is decided, so a ledger that was down
        reads its backlog first; and none while the time is doubted.
        """
        clock = self._executor.clock
        now = clock.observe(*await load_database_time(self._pool))
        hold_time = clock.hold_time() or now
        passed = await self._usage_passed()
        if not clock.can_end_holds(self._hold_ttl):
            passed = None
        backlog = 0
        for _ in range(MAX_PAGES):
            accounts = await load_due_accounts(self._pool, now, self._account, PAGE)
            self._account = accounts[-1] if len(accounts) == PAGE else DueAccount()
            await self._execute([AdvanceAccount(account_id=due.account_id) for due in accounts])
            holds: Sequence[DueHold] = ()
            if passed is not None:
                holds = await load_expired_holds(self._pool, min(passed, hold_time), self._hold, PAGE)
                self._hold = holds[-1] if len(holds) == PAGE else DueHold()
                await self._execute(
                    [ExpireReservation(account_id=due.account_id, reservation_id=due.reservation_id) for due in holds]
                )
            backlog = len(accounts) + len(holds)
            if len(accounts) < PAGE and len(holds) < PAGE:
                break
        SWEEPER_BACKLOG.set(backlog)
        oldest = await load_oldest_open_hold(self._pool)
        OVERDUE_HOLD_SECONDS.set(max(0.0, (hold_time - oldest).total_seconds()) if oldest else 0.0)

    async def _execute(self, commands: Sequence[Command]) -> None:
        futures = []
        for command in commands:
            try:
                futures.append(self._executor.submit(command, Kind.SWEEPER))
            except BusyError:
                break
        for future in futures:
            try:
                answer = await future
            except SolarisError as error:
                log.warning("sweep_refused", error=repr(error))
                continue
            if isinstance(answer, Ended) and answer.changed:
                EXPIRED.inc()
