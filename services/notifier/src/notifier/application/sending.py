"""Sends what is due: claims accounts, and has a bounded number of them written to at the same time."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog
from chassis.postgres import DATABASE_ERRORS
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.application.courier import Courier
from notifier.store.claims import claim_due

LEASE: Final = timedelta(seconds=30)
"""How long a process that is not heard of keeps others from sending to an account."""
POLL_SECONDS: Final = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Sends due mails until stopped; several may run, in one process or in many.

    Accounts are independent of each other: a recipient whose server is slow keeps one place busy, and nobody waits for
    it but that account's next mails. `at_once` accounts are written to at the same time, each over a connection of its
    own; the courier's outages hold all of them up.
    """

    engine: AsyncEngine
    courier: Courier
    at_once: int
    lease: timedelta = LEASE
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _wakeup: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def wake(self) -> None:
        """Something became due just now."""
        self._wakeup.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()
        self._wakeup.set()

    async def run(self) -> None:
        """Work until `stop`, then let what is under way end."""
        running: dict[asyncio.Task[None], str] = {}
        try:
            while not self._stopping.is_set():
                self._wakeup.clear()
                begun = await self._begin(running)
                if len(running) >= self.at_once:
                    await self._wait(running)
                elif not begun:
                    await self._wait(())
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()

    async def _begin(self, running: dict[asyncio.Task[None], str]) -> int:
        """Start on accounts with due mails, as many as may be; returns how many."""
        free = self.at_once - len(running)
        now = asyncio.get_running_loop().time()
        for outage in (self.courier.mail_server, self.courier.ledger):
            free = outage.admit(free, now)
        if not free:
            return 0
        try:
            claims = await claim_due(self.engine, at_most=free, lease=self.lease, but_not=list(running.values()))
        except DATABASE_ERRORS as error:
            log.warning("due_mails_not_read", error=type(error).__name__)
            return 0
        for claim in claims:
            task = asyncio.create_task(self.courier.serve(claim, self.lease))
            running[task] = claim.account_id
            task.add_done_callback(running.pop)
        return len(claims)

    async def _wait(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        """For the next wake-up, the first of the tasks, or the next poll."""
        wakeup = asyncio.create_task(self._wakeup.wait())
        try:
            await asyncio.wait([wakeup, *tasks], timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wakeup.cancel()
