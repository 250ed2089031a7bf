"""Group commit: takes batches from the queues, runs each in one transaction, answers every caller after the commit."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Self

from chassis.backoff import pause_after

from ledger.application.committer import Committer
from ledger.application.database_clock import DatabaseClock
from ledger.application.openings import Openings
from ledger.application.queues import Queues
from ledger.application.recent import RecentAccounts
from ledger.application.submission import Idempotency, Kind, Submission
from ledger.domain.commands import Command
from ledger.domain.decision import Answer
from ledger.domain.policy import Policy
from ledger.metrics import QUEUE_DEPTH
from ledger.store.rows import AuditEntry

LANES: Final[tuple[tuple[Kind, ...], ...]] = ((Kind.RESERVE, Kind.ADMIN), (Kind.USAGE, Kind.SWEEPER))
"""What people wait for does not stand behind what they do not; each lane commits on a connection of its own."""
FIRST_RETRY_SECONDS: Final = 0.005
LONGEST_RETRY_SECONDS: Final = 0.2


class BusyError(Exception):
    """The queue of this kind is full or too slow; nothing was done."""


class Executor:
    """The only writer of one process. Several processes may run: versions keep them right.

    Two lanes commit side by side; an account is in one of them at a time, so they never wait for each other's rows.
    """

    def __init__(
        self,
        database_url: str,
        policy: Policy,
        *,
        openings_per_minute: int = 6_000,
        on_commit: Callable[[], None] | None = None,
        clock: DatabaseClock | None = None,
    ) -> None:
        """`on_commit` is called after each commit that stored events."""
        self._queues = Queues()
        for kind in Kind:
            QUEUE_DEPTH.labels(kind.value).set_function(partial(self._queues.depth, kind))
        self._in_commit: set[str] = set()
        self._wakeups = {kinds: asyncio.Event() for kinds in LANES}
        self.clock = clock or DatabaseClock()
        openings, recent = Openings(openings_per_minute), RecentAccounts()
        self._committers = {
            kinds: Committer(
                database_url, policy, clock=self.clock, openings=openings, recent=recent, on_commit=on_commit
            )
            for kinds in LANES
        }
        self._batch_began: dict[tuple[Kind, ...], float] = {}
        self._returning = 0
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.run(), name="executor")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what is queued, then let go of the connections."""
        self.stop()
        if self._task is not None:
            await self._task

    def stop(self) -> None:
        """Take no new command; `run` returns when those that are queued are answered."""
        self._stopping = True
        for committer in self._committers.values():
            committer.stopping = True
        self._wake_all()

    def submit(
        self,
        command: Command,
        kind: Kind,
        *,
        deadline_seconds: float | None = None,
        idempotency: Idempotency | None = None,
        audit: AuditEntry | None = None,
        causation_id: str | None = None,
        key_id: str = "",
    ) -> asyncio.Future[Answer]:
        """Queue a command; the future has its answer once that is committed.

        Raises (in the future):
            SolarisError: the command was refused and changed nothing.
            UnavailableError: no commit before the deadline; it may still happen, the same command may be sent again.
        Raises:
            BusyError: the queue is full, or reserves wait too long; nothing was queued.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        submission = Submission(
            command=command,
            kind=kind,
            answer=loop.create_future(),
            enqueued_at=now,
            deadline=None if deadline_seconds is None else now + deadline_seconds,
            idempotency=idempotency,
            audit=audit,
            causation_id=causation_id,
            key_id=key_id,
        )
        if self._stopping or not self._queues.offer(submission):
            raise BusyError(kind)
        self._wake_all()
        return submission.answer

    def oldest_uncommitted_seconds(self) -> float:
        """For how long the command that waits longest, queued or in a commit, has not been answered."""
        began = [*self._batch_began.values(), *filter(None, [self._queues.oldest(Kind)])]
        return asyncio.get_running_loop().time() - min(began) if began else 0.0

    async def run(self) -> None:
        """Execute until `stop`; an exception is a defect, and then nobody is answered any more."""
        try:
            async with asyncio.TaskGroup() as lanes:
                for kinds in LANES:
                    lanes.create_task(self._run_lane(kinds))
        finally:
            self._stopping = True

    async def _run_lane(self, kinds: tuple[Kind, ...]) -> None:
        wakeup, committer = self._wakeups[kinds], self._committers[kinds]
        try:
            while not self._stopping or self._returning or self._queues.waiting(kinds):
                await wakeup.wait()
                wakeup.clear()
                while batch := self._queues.next_batch(kinds, self._in_commit):
                    accounts = {submission.account_id for submission in batch}
                    self._in_commit |= accounts
                    self._batch_began[kinds] = min(submission.enqueued_at for submission in batch)
                    try:
                        self._retry_later(await committer.commit(batch))
                    finally:
                        self._in_commit -= accounts
                        del self._batch_began[kinds]
                    # The other lane may have passed over these accounts.
                    self._wake_all()
        finally:
            committer.disconnect()

    def _retry_later(self, stale: Sequence[Submission]) -> None:
        """They leave the batch: others need not wait for an account that was taken."""
        loop = asyncio.get_running_loop()
        rounds: dict[int, list[Submission]] = defaultdict(list)
        for submission in stale:
            rounds[submission.retries].append(submission)
        for retries, submissions in rounds.items():
            self._returning += len(submissions)
            pause_seconds = pause_after(retries, FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
            loop.call_later(pause_seconds, self._return, submissions)

    def _return(self, submissions: Sequence[Submission]) -> None:
        self._returning -= len(submissions)
        self._queues.put_back(submissions)
        self._wake_all()

    def _wake_all(self) -> None:
        for wakeup in self._wakeups.values():
            wakeup.set()
