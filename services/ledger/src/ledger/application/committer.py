"""Commits one batch after the other on a connection of its own, whatever happens to that connection."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

import asyncpg
import structlog
from chassis.backoff import Backoff
from chassis.postgres import DATABASE_ERRORS, refuses_the_data
from contracts.errors import SolarisError, UnavailableError

from ledger.application.batch import (
    DecisionFailedError,
    NewerAccountError,
    Result,
    UnreadableStateError,
    decide_batch,
)
from ledger.application.database_clock import DatabaseClock
from ledger.application.openings import Openings
from ledger.application.recent import RecentAccounts
from ledger.application.submission import Submission
from ledger.domain.policy import Policy
from ledger.metrics import BATCH_SIZE, COMMIT_SECONDS, MEMORY_MISSES, OUTDATED, RERUNS, UNREADABLE, count_command
from ledger.store import write_path
from ledger.store.due import load_database_time
from ledger.store.rows import BatchState, Changes

log = structlog.get_logger()

FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 2.0
MAX_RETRIES: Final = 60
"""How often a command whose account was taken meanwhile, or not learned yet, goes round again: about ten seconds."""
FOLDED_EVENTS: Final = 10_000
"""How many, about, one batch folds anew: a tenth of a second, for which the others of its lane wait."""
SLICE: Final = 16
"""Commands decided in one go, about half a millisecond."""
CONNECTION_SETTINGS: Final = {
    "application_name": "ledger-executor",
    "synchronous_commit": "on",
    # Nothing that this process holds may outlast its freezing, even in the middle of a message.
    "transaction_timeout": "9s",
    "idle_in_transaction_session_timeout": "5s",
    # A row that somebody else holds is passed over by the next try: the batch must not wait for it.
    "lock_timeout": "100ms",
    # A plan made while the tables are small must not scan them once they are large.
    "enable_seqscan": "off",
    # A batch's rows are joined in the order they are given in, so that they are locked in that order.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}

type Stale = list[Submission]
"""Commands whose account had moved on, or was locked, when they were to be written; nothing of them is."""


class RejectedByStoreError(SolarisError):
    """Postgres refused this command's rows (SQLSTATE class 22 or 23); it changed nothing."""


class Committer:
    """`clock`, `openings` and `recent` are shared by all committers of a process, `on_commit` tells of new events."""

    def __init__(
        self,
        database_url: str,
        policy: Policy,
        *,
        clock: DatabaseClock,
        openings: Openings,
        recent: RecentAccounts,
        on_commit: Callable[[], None] | None,
    ) -> None:
        self._database_url = database_url
        self._policy = policy
        self._clock = clock
        self._openings = openings
        self._recent = recent
        self._on_commit = on_commit
        self._connection: asyncpg.Connection | None = None
        self.stopping = False
        """Once set, a batch that the database does not take is answered instead of run again."""

    async def commit(self, batch: list[Submission]) -> Stale:
        """Run until it is committed or nobody waits for it any more; an unknown outcome is simply run again.

        What can't be committed for its own rows or by a defect fails alone. Returns what is to be tried again later.
        """
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while batch := self._drop_overdue(batch):
            try:
                return await self._transact(batch)
            except asyncpg.PostgresError as error:
                if refuses_the_data(error):
                    return await self._isolate(batch, RejectedByStoreError(f"{error.sqlstate}: {error}"))
                log.warning("batch_failed", sqlstate=error.sqlstate, error=str(error), size=len(batch))
            except DATABASE_ERRORS as error:
                log.warning("database_unreachable", error=repr(error), size=len(batch))
            except Exception as error:  # a defect that one command meets must not take the process with it
                log.exception("batch_defect", size=len(batch))
                self.disconnect()
                return await self._isolate(batch, DecisionFailedError(repr(error)))
            self.disconnect()
            RERUNS.inc()
            if self.stopping:
                for submission in batch:
                    submission.fail(UnavailableError("the ledger stops and the database does not answer"))
                return []
            await backoff.pause()
        return []

    async def _isolate(self, batch: list[Submission], error: SolarisError) -> Stale:
        """Find what can't be committed by running the commands one by one; alone, a command fails by `error`."""
        if len(batch) == 1:
            batch[0].fail(error)
            count_command(batch[0].kind, type(error).__name__)
            return []
        log.warning("batch_split", error=str(error), size=len(batch))
        return [stale for submission in batch for stale in await self.commit([submission])]

    async def _transact(self, batch: list[Submission]) -> Stale:
        started = time.perf_counter()
        connection = await self._connect()
        left = await self._commit_on_memory(connection, batch)
        if left:
            # What was passed over as locked or moved on may be so again: it must not make the others wait.
            careful = len(left) == len(batch) or any(submission.retries for submission in left)
            left = await self._commit_on_read(connection, left, careful=careful)
        BATCH_SIZE.observe(len(batch))
        COMMIT_SECONDS.observe(time.perf_counter() - started)
        for submission in left:
            submission.retries += 1
            if submission.retries > MAX_RETRIES:
                submission.fail(
                    UnavailableError("the account is taken by others, or waits to be folded anew, all the time")
                )
        return [submission for submission in left if submission.retries <= MAX_RETRIES]

    async def _commit_on_memory(self, connection: asyncpg.Connection, batch: list[Submission]) -> Stale:
        """Decide on what was committed here last, and write what the database confirms to stand still."""
        clock = self._clock.hold_time()
        state = self._recent.state_for(batch, clock) if clock is not None else None
        if state is None:
            return batch
        state.now = self._doubted_now()
        left: Stale | None = None
        try:
            left = await self._decide_and_append(connection, batch, state)
        except asyncpg.PostgresError as error:
            if not refuses_the_data(error):
                raise
        left = batch if left is None else left
        MEMORY_MISSES.inc(len(left))
        return left

    async def _commit_on_read(self, connection: asyncpg.Connection, batch: list[Submission], *, careful: bool) -> Stale:
        """Read without locks, decide, and write what has not moved on meanwhile.

        Where that is refused as a whole, by halves: an account that conflicts each time must not keep others waiting.
        """
        account_ids = sorted({submission.account_id for submission in batch})
        hold_keys = list({(each.account_id, each.reservation_id) for each in batch if each.reservation_id})
        command_keys = list(
            {(each.account_id, each.idempotency.command_id) for each in batch if each.idempotency is not None}
        )
        lot_keys = list({(each.account_id, each.lot_id) for each in batch if each.lot_id})
        state = await write_path.read_batch(connection, account_ids, hold_keys, command_keys, lot_keys)
        self._clock.observe(state.clock)
        postponed = await self._learn_outdated(connection, state)
        stale: Stale = [submission for submission in batch if submission.account_id in postponed]
        batch = [submission for submission in batch if submission.account_id not in postponed]
        # As of now: a long log takes longer to fold than the database confirms a time for.
        state.now, state.clock = self._doubted_now(), self._clock.hold_time() or state.clock
        left = await self._decide_and_append(connection, batch, state, careful=careful)
        if left is not None:
            return stale + left
        if len(batch) == 1:
            return stale + batch
        for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
            if waiting := self._drop_overdue(half):
                stale += await self._commit_on_read(connection, waiting, careful=True)
        return stale

    async def _learn_outdated(self, connection: asyncpg.Connection, state: BatchState) -> set[str]:
        """Fold accounts of an earlier format anew, until that has been enough for one batch; returns the others.

        They are no part of the state any more: nothing may be decided on them, nor remembered of them.
        """
        postponed, folded = set(), 0
        for account_id in state.outdated:
            chained = state.accounts[account_id]
            if folded >= FOLDED_EVENTS:
                postponed.add(account_id)
                del state.accounts[account_id]
                continue
            folded += chained.account.version
            chained.account = await write_path.fold_anew(connection, account_id, chained.account.version)
            OUTDATED.inc()
        return postponed

    async def _decide_and_append(
        self, connection: asyncpg.Connection, batch: list[Submission], state: BatchState, *, careful: bool = False
    ) -> Stale | None:
        """None: nothing was written, and the database does not say on whose account."""
        # While the database's clock is not believed, there is none to confirm the time of the decisions by.
        premises = state.premises(confirm_time=not self._clock.jump_seconds)
        results, changes = await self._decide(batch, state)
        appended = await write_path.append_current(connection, premises, changes, careful=careful)
        if appended is None:
            self._recent.forget(batch)
            return None
        self._clock.observe(appended.clock)
        self._recent.remember(state, premises, changes, appended.stale)
        for account_id, counter, amount in changes.counts:
            if account_id not in appended.stale:
                counter.inc(amount)
        if self._on_commit is not None and changes.events:
            self._on_commit()
        left: Stale = []
        for submission, result in zip(batch, results, strict=True):
            if submission.account_id in appended.stale:
                left.append(submission)
            else:
                _answer(submission, result)
        return left

    async def _decide(self, batch: list[Submission], state: BatchState) -> tuple[list[Result], Changes]:
        """Decide slice by slice: in between, whoever waits for the event loop has its turn, a reserve for instance."""
        changes = Changes()
        results = decide_batch(batch[:SLICE], state, changes, self._policy, self._openings)
        for start in range(SLICE, len(batch), SLICE):
            await asyncio.sleep(0)
            results += decide_batch(batch[start : start + SLICE], state, changes, self._policy, self._openings)
        return results, changes

    def _doubted_now(self) -> datetime | None:
        """The time of accounts, where it may be another than that of holds."""
        return self._clock.now() if self._clock.jump_seconds else None

    def _drop_overdue(self, batch: list[Submission]) -> list[Submission]:
        now = asyncio.get_running_loop().time()
        kept = []
        for submission in batch:
            if submission.deadline is not None and now >= submission.deadline:
                submission.fail(UnavailableError("no commit before the deadline"))
            elif not submission.answer.done():
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
            self._clock.observe(*await load_database_time(self._connection))
        return self._connection

    def disconnect(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
            self._recent.forget_all()


def _answer(submission: Submission, result: Result) -> None:
    count_command(submission.kind, type(result).__name__)
    if isinstance(result, UnreadableStateError | NewerAccountError):
        UNREADABLE.inc()
    if isinstance(result, Exception):
        submission.fail(result)
    else:
        submission.resolve(result)
