"""Group commit: takes batches from the queues, runs each in one transaction, answers every caller after the commit."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS
from contracts.errors import RefusalCode, SolarisError, UnavailableError
from contracts.reservations import Refused

from ledger.application.batch import Outcome, decide_batch
from ledger.application.openings import Openings
from ledger.application.queues import Queues
from ledger.application.recent import RecentAccounts
from ledger.application.submission import Idempotency, Kind, Submission
from ledger.domain.commands import Command, ReserveTokens
from ledger.domain.decision import Answer
from ledger.domain.policy import Policy
from ledger.metrics import BATCH_SIZE, COMMIT_SECONDS, count_command
from ledger.store import write_path
from ledger.store.rows import AuditEntry, Changes

log = structlog.get_logger()

MAX_KNOWN_ACCOUNTS: Final = 200_000
MAX_BACKOFF_SECONDS: Final = 2.0
CONNECTION_SETTINGS: Final = {
    "application_name": "ledger-executor",
    "synchronous_commit": "on",
    # A plan made while the tables are small must not scan them once they are large.
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
DATA_ERROR_CLASSES: Final = ("22", "23")
"""SQLSTATE classes (data exception, integrity violation) that rerunning the same rows can't mend."""


class BusyError(Exception):
    """The queue of this kind is full or too slow; nothing was done."""


class RejectedByStoreError(SolarisError):
    """Postgres refused this command's rows (SQLSTATE class 22 or 23); it changed nothing."""


class Executor:
    """The only writer of one process. Several processes may run: row locks keep them right."""

    def __init__(
        self,
        database_url: str,
        policy: Policy,
        *,
        openings_per_minute: int = 6_000,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        """`on_commit` is called after each commit that stored events."""
        self._database_url = database_url
        self._policy = policy
        self._on_commit = on_commit
        self._openings = Openings(openings_per_minute)
        self._queues = Queues()
        self._wakeup = asyncio.Event()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._recent = RecentAccounts()
        self._connection: asyncpg.Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def policy(self) -> Policy:
        return self._policy

    def depth(self, kind: Kind) -> int:
        return self._queues.depth(kind)

    async def __aenter__(self) -> "Executor":
        self._task = asyncio.create_task(self.run(), name="executor")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what is queued, then let go of the connection."""
        self.stop()
        if self._task is not None:
            await self._task

    def stop(self) -> None:
        """Take no new command; `run` returns when those that are queued are answered."""
        self._stopping = True
        self._wakeup.set()

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
        self._wakeup.set()
        return submission.answer

    async def run(self) -> None:
        """Execute until `stop`; an exception is a defect, and then nobody is answered any more."""
        try:
            while not self._stopping or len(self._queues):
                await self._wakeup.wait()
                self._wakeup.clear()
                while batch := self._queues.next_batch():
                    await self._commit(batch)
        finally:
            self._stopping = True
            self._disconnect()

    async def _commit(self, batch: list[Submission]) -> None:
        """Run until it is committed or nobody waits for it any more; an unknown outcome is simply run again."""
        backoff = 0.05
        while batch := self._drop_overdue(batch):
            try:
                outcomes = await self._transact(batch)
            except asyncpg.PostgresError as error:
                if _is_data_error(error) and len(batch) > 1:
                    log.warning("batch_split", sqlstate=error.sqlstate, size=len(batch))
                    for submission in batch:
                        await self._commit([submission])
                    return
                if _is_data_error(error):
                    batch[0].fail(RejectedByStoreError(f"{error.sqlstate}: {error}"))
                    return
                log.warning("batch_failed", sqlstate=error.sqlstate, error=str(error), size=len(batch))
            except DATABASE_ERRORS as error:
                log.warning("database_unreachable", error=repr(error), size=len(batch))
            else:
                _answer(batch, outcomes)
                return
            self._disconnect()
            if self._stopping:
                for submission in batch:
                    submission.fail(UnavailableError("the ledger stops and the database does not answer"))
                return
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    async def _transact(self, batch: list[Submission]) -> list[Outcome]:
        connection = await self._connect()
        refused = await self._admit_unknown(connection, batch)
        decided = [submission for submission in batch if submission not in refused] if refused else batch
        outcomes = await self._decide_and_write(connection, decided) if decided else []
        if not refused:
            return outcomes
        remaining = iter(outcomes)
        return [refused[each] if each in refused else next(remaining) for each in batch]

    async def _decide_and_write(self, connection: asyncpg.Connection, batch: list[Submission]) -> list[Outcome]:
        started = time.perf_counter()
        committed = await self._commit_on_memory(connection, batch)
        if committed is None:
            self._recent.forget(batch)
            committed = await self._commit_under_locks(connection, batch)
        outcomes, changes = committed
        BATCH_SIZE.observe(len(batch))
        COMMIT_SECONDS.observe(time.perf_counter() - started)
        if self._on_commit is not None and changes.events:
            self._on_commit()
        return outcomes

    async def _commit_on_memory(
        self, connection: asyncpg.Connection, batch: list[Submission]
    ) -> tuple[list[Outcome], Changes] | None:
        """Decide on what was committed here last, and write it if the database confirms that it still stands."""
        remembered = self._recent.state_for(batch)
        if remembered is None:
            return None
        state, premises = remembered
        outcomes, changes = decide_batch(batch, state, self._policy)
        try:
            clock = await write_path.append_if_current(connection, premises, changes)
        except asyncpg.PostgresError as error:
            if not _is_data_error(error):
                raise
            clock = None
        if clock is None:
            return None
        self._recent.remember(state, changes, clock)
        return outcomes, changes

    async def _commit_under_locks(
        self, connection: asyncpg.Connection, batch: list[Submission]
    ) -> tuple[list[Outcome], Changes]:
        """Lock, read, decide, write, commit."""
        account_ids = sorted({submission.account_id for submission in batch})
        hold_keys = list({(each.account_id, each.reservation_id) for each in batch if each.reservation_id})
        command_keys = list(
            {(each.account_id, each.idempotency.command_id) for each in batch if each.idempotency is not None}
        )
        await connection.execute("BEGIN")
        try:
            state = await write_path.read_batch_state(connection, account_ids, hold_keys, command_keys)
            clock = state.clock
            outcomes, changes = decide_batch(batch, state, self._policy)
            await write_path.write_changes(connection, changes)
        except BaseException:
            # A connection that can't roll back is broken, and dropping it rolls back too.
            self._disconnect()
            raise
        await connection.execute("COMMIT")
        self._recent.remember(state, changes, clock)
        return outcomes, changes

    async def _admit_unknown(self, connection: asyncpg.Connection, batch: list[Submission]) -> dict[Submission, Answer]:
        """Insert rows for accounts never seen; refuse the reserves of a key that opens accounts too fast."""
        unseen = {submission.account_id for submission in batch if submission.account_id not in self._known}
        if not unseen:
            return {}
        missing = unseen - await write_path.existing_accounts(connection, list(unseen))
        refused: dict[Submission, Answer] = {}
        admitted: set[str] = set()
        for submission in batch:
            account_id = submission.account_id
            if account_id not in missing or account_id in admitted:
                continue
            if isinstance(submission.command, ReserveTokens) and not self._openings.allow(submission.key_id):
                refused[submission] = Refused(
                    reservation_id=submission.command.reservation_id,
                    code=RefusalCode.RATE_LIMITED,
                    retry_after_seconds=1,
                )
                continue
            admitted.add(account_id)
        if admitted:
            await write_path.insert_missing_accounts(connection, list(admitted))
        self._remember((unseen - missing) | admitted)
        return refused

    def _remember(self, account_ids: set[str]) -> None:
        self._known.update(dict.fromkeys(account_ids))
        while len(self._known) > MAX_KNOWN_ACCOUNTS:
            self._known.popitem(last=False)

    def _drop_overdue(self, batch: list[Submission]) -> list[Submission]:
        now = asyncio.get_running_loop().time()
        kept = []
        for submission in batch:
            if submission.deadline is not None and now >= submission.deadline:
                submission.fail(UnavailableError("no commit before the deadline"))
            elif not submission.answer.cancelled():
                kept.append(submission)
        return kept

    async def _connect(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._database_url,
                timeout=5.0,
                command_timeout=10.0,
                server_settings=CONNECTION_SETTINGS,
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
            self._recent.forget_all()


def _is_data_error(error: asyncpg.PostgresError) -> bool:
    return (error.sqlstate or "")[:2] in DATA_ERROR_CLASSES


def _answer(batch: list[Submission], outcomes: list[Outcome]) -> None:
    for submission, outcome in zip(batch, outcomes, strict=True):
        count_command(submission.kind, type(outcome).__name__)
        if isinstance(outcome, Exception):
            submission.fail(outcome)
        else:
            submission.resolve(outcome)
