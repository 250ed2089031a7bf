"""Walks a range of accounts in pages, each in a short snapshot of its own, and compares it with the live rows.

What a page has folded is compared in that page's snapshot and then forgotten, so memory holds one page of accounts
however many there are, and nobody waits for the walk: it locks nothing, and no snapshot lives longer than a page.
"""

import asyncio
import gc
import os
import signal
from collections.abc import Sequence
from datetime import datetime
from typing import Final, cast

import asyncpg
from msgspec import Struct

from ledger.audit.checkpoints.document import Document
from ledger.audit.closer_look import look_closer
from ledger.audit.comparison import account_difference, is_tail_missing, lots_difference, sum_problems
from ledger.audit.differences import Difference, Differences, Projection
from ledger.audit.extent import Extent, Tally
from ledger.audit.folding import Folded
from ledger.audit.problems import MAX_KEPT, Problem, Problems
from ledger.audit.repair import Repairs
from ledger.audit.signed_heads import SignedHeads
from ledger.audit.snapshots import SnapshotCheck, SnapshotPages
from ledger.audit.walk import Walk
from ledger.store.log import (
    BEFORE_ALL_VERSIONS,
    MAX_POSITION,
    PAGE_EVENTS,
    AccountRange,
    FoldRow,
    StoredRow,
    connect,
    folds_between,
    folds_of_accounts,
    rows_of_accounts,
)
from ledger.store.projections import AccountRow, HoldSums, account_rows, hold_sums, lot_records, prefer_scans

NO_HOLDS: Final = HoldSums()


class OrphanedError(Exception):
    """Nobody waits for the walk any more."""


class PartitionRequest(Struct, frozen=True):
    """`mark` is a position of which the report tells how the log stood there, as it does for `up_to`; the heads there
    are compared with those of `signed`. The rows of holds that were made before `holds_since` may have left.

    Without `repairing` whole rows are read and checked; with it they are only folded, in about half the time, and what
    differs is repaired. `in_order`, for folding alone: the accounts are few enough to be kept, and the log is short, so
    that it is read as it lies in the table and compared at the end, in one snapshot of a second or so.
    """

    database_url: str
    accounts: AccountRange
    up_to: int
    holds_since: datetime
    mark: int | None = None
    signed: Document | None = None
    repairing: Projection | None = None
    in_order: bool = False


class PartitionReport(Struct, frozen=True):
    extent: Extent
    marked: Extent | None
    problems: Problems
    differences: Differences


class Suspect(Struct, frozen=True):
    """An account to look at closer: its row or its holds seem not to be what its events say.

    `unsound`: the events themselves are not all there, or not to be believed.
    """

    account_id: str
    unsound: bool
    account: str | None
    holds: bool


def run_partition(request: PartitionRequest) -> PartitionReport:
    """For a process of its own."""
    # A walk makes millions of small objects and no cycles: what the collector would look for is not there.
    gc.disable()
    # Ctrl-C reaches all processes of the terminal; the operator reads one line about it, the first process's.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return asyncio.run(walk_partition(request, parent=os.getppid()))


async def walk_partition(request: PartitionRequest, *, parent: int | None = None) -> PartitionReport:
    """Walk it in this process.

    Raises:
        OrphanedError: the process `parent`, for which this is done, has gone.
    """
    connection = await connect(request.database_url)
    partition = _Partition(connection, request, parent)
    try:
        return await partition.report()
    finally:
        partition.close()
        connection.terminate()


class _Partition:
    def __init__(self, connection: asyncpg.Connection, request: PartitionRequest, parent: int | None) -> None:
        self._connection = connection
        self._request = request
        self._parent = parent
        self._projection = request.repairing or Projection.ALL
        self._problems = Problems()
        self._differences = Differences()
        check = SnapshotCheck(self._problems, self._differences if request.repairing else None)
        self._walk = Walk(self._problems, check, holds_since=request.holds_since)
        self._snapshots = SnapshotPages(connection, check, wanted=self._projection.has_accounts)
        self._tally = Tally(request.up_to)
        signed = request.signed
        self._signed = SignedHeads(signed.heads(), request.accounts, self._problems) if signed else None
        on_head = self._signed.take if self._signed else None
        self._marked = None if request.mark is None else Tally(request.mark, on_head)
        self._repairs = (
            Repairs(connection, request.database_url, request.repairing, self._differences)
            if request.repairing
            else None
        )

    def close(self) -> None:
        if self._repairs is not None:
            self._repairs.close()

    async def report(self) -> PartitionReport:
        extent = await (self._walk_in_order() if self._request.in_order else self._walk_pages())
        await self._snapshots.finish(self._request.accounts, repairing=self._request.repairing is not None)
        marked = None if self._marked is None else self._marked.extent()
        if self._signed is not None:
            self._signed.finish()
        return PartitionReport(
            extent=extent,
            marked=marked,
            problems=self._problems,
            differences=self._differences,
        )

    async def _walk_pages(self) -> Extent:
        first, end = self._request.accounts
        account_id, version, is_last = first, BEFORE_ALL_VERSIONS, False
        while not is_last:
            self._stay_wanted()
            async with self._connection.transaction(isolation="repeatable_read", readonly=True):
                rows = await self._take_page(AccountRange(account_id, end), version)
                is_last = len(rows) < PAGE_EVENTS
                if rows:
                    _, account_id, version, *_ = rows[-1]
                # The page's last account may go on in the next one.
                compared_to = end if is_last else account_id
                suspects = await self._compare(AccountRange(first, compared_to))
                first = compared_to
            await self._look_at(suspects)
        return self._tally.extent()

    async def _walk_in_order(self) -> Extent:
        """Without a digest, which is of accounts in the order of their ids, and none is asked for."""
        accounts, up_to, events = self._request.accounts, self._request.up_to, 0
        async for records in folds_between(self._connection, 0, up_to, accounts):
            self._stay_wanted()
            rows = cast(list[FoldRow], records)  # records have the fields of the rows, in their order
            await self._snapshots.expect_between(rows)
            self._walk.fold(rows)
            events += len(rows)
        extent = Extent(len(self._walk.accounts), events, up_to, b"")
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            async for records in folds_between(self._connection, up_to + 1, MAX_POSITION, accounts):
                self._walk.fold(cast(list[FoldRow], records))  # likewise
            await prefer_scans(self._connection)
            suspects = await self._compare(accounts)
        await self._look_at(suspects)
        return extent

    def _stay_wanted(self) -> None:
        if self._parent is not None and os.getppid() != self._parent:
            raise OrphanedError

    async def _take_page(self, accounts: AccountRange, after_version: int) -> list[StoredRow] | list[FoldRow]:
        # Records have the fields of the rows, in their order.
        if self._repairs is None:
            rows = cast(list[StoredRow], await rows_of_accounts(self._connection, accounts, after_version))
            await self._snapshots.expect_accounts(accounts, after_version, rows)
            self._walk.check(rows)
            self._tally.add(rows)
            if self._marked is not None:
                self._marked.add(rows)
            return rows
        folds = cast(list[FoldRow], await folds_of_accounts(self._connection, accounts, after_version))
        await self._snapshots.expect_accounts(accounts, after_version, folds)
        self._walk.fold(folds)
        self._tally.add(folds)
        return folds

    async def _compare(self, accounts: AccountRange) -> list[Suspect]:
        """What the page completed against the rows of the same snapshot."""
        if accounts.first == accounts.end:
            return []
        folded = self._walk.take_before(accounts.end)
        for account_id, each in folded.items():
            if each.sound:
                for reason in sum_problems(each):
                    self._problems.add(Problem(each.position, account_id, each.version, reason))
        different = await self._different_accounts(accounts, folded) if self._projection.has_accounts else {}
        odd_holds = await self._odd_holds(accounts, folded) if self._projection.has_holds else set()
        suspects = different.keys() | odd_holds | {each for each, found in folded.items() if not found.sound}
        return [
            Suspect(each, not folded[each].sound, different.get(each), each in odd_holds) for each in sorted(suspects)
        ]

    async def _different_accounts(self, accounts: AccountRange, folded: dict[str, Folded]) -> dict[str, str]:
        different: dict[str, str] = {}
        unseen = dict.fromkeys(folded)
        async for row in account_rows(self._connection, accounts):
            unseen.pop(row.account_id, None)
            if (each := folded.get(row.account_id)) is None:
                self._eventless(row.account_id, Projection.ACCOUNTS, "the account has a state but no events")
            elif (difference := self._account_difference(each, row)) is not None:
                different[row.account_id] = difference
        for account_id in unseen:
            if (difference := self._account_difference(folded[account_id], None)) is not None:
                different[account_id] = difference
        for account_id, difference in await self._different_lots(accounts, folded):
            different.setdefault(account_id, difference)
        return different

    async def _different_lots(self, accounts: AccountRange, folded: dict[str, Folded]) -> list[tuple[str, str]]:
        different: list[tuple[str, str]] = []
        unseen = {account_id for account_id, each in folded.items() if each.lots}
        async for account_id, records in lot_records(self._connection, accounts):
            unseen.discard(account_id)
            if (each := folded.get(account_id)) is None:
                reason = f"{len(records)} lots of an account without events"
                self._eventless(account_id, Projection.ACCOUNTS, reason)
            elif each.sound and (difference := lots_difference(each.lots, records)) is not None:
                different.append((account_id, difference))
        different += [
            (account_id, difference)
            for account_id in sorted(unseen)
            if folded[account_id].sound and (difference := lots_difference(folded[account_id].lots, {})) is not None
        ]
        for account_id, difference in different:
            each = folded[account_id]
            self._problems.add(Problem(each.position, account_id, each.version, difference))
        return different

    def _account_difference(self, folded: Folded, row: AccountRow | None) -> str | None:
        difference = account_difference(folded, row)
        if difference is None:
            return None
        account_id = folded.account.account_id
        if is_tail_missing(folded, row):
            difference = f"events after version {folded.version} are missing: {difference}"
            self._problems.add(Problem(None, account_id, folded.version + 1, difference))
            folded.sound = False
        elif folded.sound:
            self._problems.add(Problem(folded.position, account_id, folded.version, difference))
        return difference

    async def _odd_holds(self, accounts: AccountRange, folded: dict[str, Folded]) -> set[str]:
        odd: set[str] = set()
        unseen = dict.fromkeys(folded)
        async for account_id, sums in hold_sums(self._connection, accounts, self._request.holds_since):
            unseen.pop(account_id, None)
            if (each := folded.get(account_id)) is None:
                self._eventless(account_id, Projection.HOLDS, f"{sums.holds} holds of an account without events")
            elif sums != each.hold_sums():
                odd.add(account_id)
        odd.update(account_id for account_id in unseen if folded[account_id].hold_sums() != NO_HOLDS)
        return odd

    def _eventless(self, account_id: str, projection: Projection, reason: str) -> None:
        """Rows of which no event tells: reported and left."""
        self._problems.add(Problem(None, account_id, 1, reason))
        self._differences.add(Difference(projection, account_id, 0, reason, repaired=False))

    async def _look_at(self, suspects: Sequence[Suspect]) -> None:
        """Outside of the page's transaction: what differs is put right, or named hold by hold."""
        await self._snapshots.repair()
        for suspect in suspects:
            if self._repairs is not None:
                account = suspect.account is not None
                await self._repairs.repair(suspect.account_id, account=account, holds=suspect.holds)
            elif suspect.holds and not suspect.unsound and self._problems.count < MAX_KEPT:
                await look_closer(self._connection, suspect.account_id, self._problems)
