"""Walks one share of all accounts in one snapshot of the database, and compares it with the live rows."""

import asyncio
import gc
import os
import signal
from bisect import bisect_right
from collections.abc import Sequence
from itertools import batched
from operator import itemgetter
from typing import cast

import asyncpg
from msgspec import Struct

from ledger.operate.comparison import account_difference, is_placeholder, is_tail_missing, sum_problems
from ledger.operate.folding import Folded
from ledger.operate.problems import Problem, Problems
from ledger.operate.walk import FoldRow, Walk
from ledger.store.log import Share, StoredRow, connect, folds_of_share, load_hashes, rows_of_share
from ledger.store.projections import AccountRow, HoldSums, accounts_of_share, hold_sums_of_share

HASHES_AT_ONCE = 5_000
NO_HOLDS = HoldSums()


class OrphanedError(Exception):
    """Nobody waits for the walk any more."""


class Head(Struct, frozen=True, order=True):
    """Where an account's chain ends."""

    account_id: str
    version: int
    hash: bytes


class Suspect(Struct, frozen=True):
    """An account to look at closer: its row or its holds seem not to be what its events say.

    `unsound`: the events themselves are not all there, or not to be believed.
    """

    account_id: str
    unsound: bool
    account: str | None
    holds: bool


class PartitionRequest(Struct, frozen=True):
    """`snapshot` is an exported snapshot that all partitions share.

    `checked` reads whole rows and checks them all; else they are only folded, in about half the time. `mark` is a
    position of which the report tells how the log stood there.
    """

    database_url: str
    snapshot: str
    share: Share
    checked: bool
    accounts: bool = True
    holds: bool = True
    mark: int | None = None


class Extent(Struct, frozen=True):
    """How far the log goes, or went at some position; `heads` in the order of account ids."""

    events: int
    last_position: int
    heads: list[Head]


class PartitionReport(Struct, frozen=True):
    """`suspects` in the order of account ids; `marked` is the log up to the mark, if there was one."""

    extent: Extent
    marked: Extent | None
    problems: list[Problem]
    problem_count: int
    suspects: list[Suspect]


def run_partition(request: PartitionRequest) -> PartitionReport:
    """For a process of its own."""
    # A walk makes millions of small objects and no cycles: what the collector would look for is not there.
    gc.disable()
    # Ctrl-C reaches all processes of the terminal; the operator reads one line about it, the first process's.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return asyncio.run(walk_partition(request, parent=os.getppid()))


async def walk_partition(request: PartitionRequest, *, parent: int | None = None) -> PartitionReport:
    """Read log, accounts and holds of the share in the shared snapshot, in which all three belong together.

    Raises:
        OrphanedError: the process `parent`, for which this is done, has gone.
    """
    connection = await connect(request.database_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(f"SET TRANSACTION SNAPSHOT '{request.snapshot}'")
            return await _Partition(connection, request, parent).report()
    finally:
        connection.terminate()


class _Partition:
    def __init__(self, connection: asyncpg.Connection, request: PartitionRequest, parent: int | None) -> None:
        self._connection = connection
        self._request = request
        self._parent = parent
        self._problems = Problems()
        self._walk = Walk(self._problems)
        self._accounts: dict[str, str] = {}
        self._holds: set[str] = set()
        self._incomplete: set[str] = set()
        self._marked: Extent | None = None

    async def report(self) -> PartitionReport:
        await self._read_log()
        folded = self._walk.accounts
        if self._request.accounts:
            await self._compare_accounts()
        if self._request.holds:
            live = await hold_sums_of_share(self._connection, self._request.share)
            self._holds = {
                each for each in live.keys() | folded.keys() if live.get(each, NO_HOLDS) != _sums(folded, each)
            }
        unsound = self._incomplete | {account_id for account_id, each in folded.items() if not each.sound}
        return PartitionReport(
            extent=self._extent(),
            marked=self._marked,
            problems=self._problems.first(),
            problem_count=self._problems.count,
            suspects=[
                Suspect(account_id, account_id in unsound, self._accounts.get(account_id), account_id in self._holds)
                for account_id in sorted(unsound | self._accounts.keys() | self._holds)
            ],
        )

    async def _read_log(self) -> None:
        if self._request.checked:
            async for rows in rows_of_share(self._connection, self._request.share):
                self._stay_wanted()
                self._check(cast(Sequence[StoredRow], rows))  # records of the same fields
            if self._request.mark is not None and self._marked is None:
                self._marked = self._extent()
        else:
            async for rows in folds_of_share(self._connection, self._request.share):
                self._stay_wanted()
                self._walk.fold(cast(Sequence[FoldRow], rows))  # likewise
            await self._load_heads()
        for account_id, folded in self._walk.accounts.items():
            if folded.sound:
                for reason in sum_problems(folded):
                    self._problems.add(Problem(folded.position, account_id, folded.version, reason))

    def _stay_wanted(self) -> None:
        if self._parent is not None and os.getppid() != self._parent:
            raise OrphanedError

    def _check(self, rows: Sequence[StoredRow]) -> None:
        mark = self._request.mark
        if mark is not None and self._marked is None and rows[-1][0] > mark:
            before = bisect_right(rows, mark, key=itemgetter(0))
            self._walk.check(rows[:before])
            self._marked = self._extent()
            rows = rows[before:]
        self._walk.check(rows)

    def _extent(self) -> Extent:
        heads = (Head(account_id, each.version, each.head) for account_id, each in self._walk.accounts.items())
        return Extent(self._walk.events, self._walk.last_position, sorted(heads))

    async def _load_heads(self) -> None:
        accounts = self._walk.accounts
        for account_ids in batched(accounts, HASHES_AT_ONCE):
            versions = [accounts[account_id].version for account_id in account_ids]
            for account_id, head in (await load_hashes(self._connection, account_ids, versions)).items():
                accounts[account_id].head = head

    async def _compare_accounts(self) -> None:
        unseen = dict.fromkeys(self._walk.accounts)
        async for row in accounts_of_share(self._connection, self._request.share):
            unseen.pop(row.account_id, None)
            self._compare_account(row.account_id, row)
        for account_id in unseen:
            self._compare_account(account_id, None)

    def _compare_account(self, account_id: str, row: AccountRow | None) -> None:
        folded = self._walk.accounts.get(account_id)
        if folded is None:
            if row is not None and not is_placeholder(row):
                self._incomplete.add(account_id)
                self._accounts[account_id] = "the account has a state but no events"
                self._problems.add(Problem(None, account_id, 1, self._accounts[account_id]))
            return
        difference = account_difference(folded, row)
        if difference is None:
            return
        if is_tail_missing(folded, row):
            difference = f"events after version {folded.version} are missing: {difference}"
            self._incomplete.add(account_id)
            self._problems.add(Problem(None, account_id, folded.version + 1, difference))
        elif folded.sound:
            self._problems.add(Problem(folded.position, account_id, folded.version, difference))
        self._accounts[account_id] = difference


def _sums(accounts: dict[str, Folded], account_id: str) -> HoldSums:
    folded = accounts.get(account_id)
    return NO_HOLDS if folded is None else folded.hold_sums()
