"""Commits one batch after the other on a connection of its own, whatever happens to that connection."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS
from contracts.errors import SolarisError, UnavailableError

from ledger.application.admission import Admission
from ledger.application.batch import Outcome, decide_batch
from ledger.application.recent import RecentAccounts
from ledger.application.submission import Submission
from ledger.domain.policy import Policy
from ledger.metrics import BATCH_SIZE, COMMIT_SECONDS, count_command
from ledger.store import write_path
from ledger.store.rows import BatchState, Changes

log = structlog.get_logger()

MAX_BACKOFF_SECONDS: Final = 2.0
SLICE: Final = 16
"""Commands decided in one go, about half a millisecond."""
CONNECTION_SETTINGS: Final = {
    "application_name": "ledger-executor",
    "synchronous_commit": "on",
    # A plan made while the tables are small must not scan them once they are large.
    "enable_seqscan": "off",
    # A batch's rows are joined in the order they are given in, so that they are locked in that order.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
DATA_ERROR_CLASSES: Final = ("22", "23")
"""SQLSTATE classes (data exception, integrity violation) that rerunning the same rows can't mend."""


class RejectedByStoreError(SolarisError):
    """Postgres refused this command's rows (SQLSTATE class 22 or 23); it changed nothing."""


class Committer:
    """`admission` and `recent` are shared by all committers of a process, `on_commit` tells of new events."""

    def __init__(
        self,
        database_url: str,
        policy: Policy,
        admission: Admission,
        recent: RecentAccounts,
        on_commit: Callable[[], None] | None,
    ) -> None:
        self._database_url = database_url
        self._policy = policy
        self._admission = admission
        self._recent = recent
        self._on_commit = on_commit
        self._connection: asyncpg.Connection | None = None
        self.stopping = False
        """Once set, a batch that the database does not take is answered instead of run again."""

    async def commit(self, batch: list[Submission]) -> None:
        """Run until it is committed or nobody waits for it any more; an unknown outcome is simply run again."""
        backoff = 0.05
        while batch := self._drop_overdue(batch):
            try:
                outcomes = await self._transact(batch)
            except asyncpg.PostgresError as error:
                if _is_data_error(error) and len(batch) > 1:
                    log.warning("batch_split", sqlstate=error.sqlstate, size=len(batch))
                    for submission in batch:
                        await self.commit([submission])
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
            self.disconnect()
            if self.stopping:
                for submission in batch:
                    submission.fail(UnavailableError("the ledger stops and the database does not answer"))
                return
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    async def _transact(self, batch: list[Submission]) -> list[Outcome]:
        connection = await self._connect()
        refused = await self._admission.admit(connection, batch)
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

    async def _decide(self, batch: list[Submission], state: BatchState) -> tuple[list[Outcome], Changes]:
        """Decide slice by slice: in between, whoever waits for the event loop has its turn, a reserve for instance."""
        changes = Changes()
        outcomes = decide_batch(batch[:SLICE], state, changes, self._policy)
        for start in range(SLICE, len(batch), SLICE):
            await asyncio.sleep(0)
            outcomes += decide_batch(batch[start : start + SLICE], state, changes, self._policy)
        return outcomes, changes

    async def _commit_on_memory(
        self, connection: asyncpg.Connection, batch: list[Submission]
    ) -> tuple[list[Outcome], Changes] | None:
        """Decide on what was committed here last, and write it if the database confirms that it still stands."""
        remembered = self._recent.state_for(batch)
        if remembered is None:
            return None
        state, premises = remembered
        outcomes, changes = await self._decide(batch, state)
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
            outcomes, changes = await self._decide(batch, state)
            await write_path.write_changes(connection, changes)
        except BaseException:
            # A connection that can't roll back is broken, and dropping it rolls back too.
            self.disconnect()
            raise
        await connection.execute("COMMIT")
        self._recent.remember(state, changes, clock)
        return outcomes, changes

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

    def disconnect(self) -> None:
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
