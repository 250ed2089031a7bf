"""Compares snapshots of accounts with what a fold of their events comes to, as a walk passes them."""

from collections.abc import Sequence

import asyncpg
from contracts.codec import encode

from ledger.audit.differences import Difference, Differences, Projection
from ledger.audit.folding import Folded
from ledger.audit.problems import Problem, Problems
from ledger.store.log import AccountRange, FoldRow, StoredRow
from ledger.store.snapshots import (
    Snapshot,
    SnapshotRow,
    remove_snapshot,
    snapshots_between,
    snapshots_of_accounts,
    store_snapshot,
    stray_snapshots,
)


class SnapshotCheck:
    """What is wrong is a problem, or, with `repaired`, a difference that `SnapshotPages` puts right."""

    def __init__(self, problems: Problems, repaired: Differences | None) -> None:
        self.expected: dict[int, SnapshotRow] = {}
        """By position."""
        self.right: list[Snapshot] = []
        self._problems = problems
        self._repaired = repaired

    def meet(self, folded: Folded) -> None:
        """The walk has folded the event at the position of one that is expected."""
        row = self.expected.pop(folded.position)
        if not folded.sound:
            return
        after, earliest_at = folded.begin_part()
        if earliest_at is None:  # it is expected twice
            return
        right = Snapshot(folded.account, after, earliest_at)
        # One between that was made since its page was read is not known here; what is there is of less than its part.
        wrong = _difference(row, folded, right, is_whole_part=after >= row.after_version)
        if wrong is None:
            return
        reason = f"the snapshot of version {row.version} is not what the events say: {wrong}"
        account_id = folded.account.account_id
        if self._repaired is None:
            self._problems.add(Problem(folded.position, account_id, folded.version, reason))
        else:
            self._repaired.add(Difference(Projection.ACCOUNTS, account_id, folded.version, reason, repaired=True))
            self.right.append(right)

    def find_stray(self, account_id: str, version: int) -> None:
        """One of which no event tells where it says."""
        reason = f"the snapshot of version {version} is of no event"
        if self._repaired is None:
            self._problems.add(Problem(None, account_id, version, reason))
        else:
            self._repaired.add(Difference(Projection.ACCOUNTS, account_id, version, reason, repaired=True))


class SnapshotPages:
    """Gives a check the snapshots of each page of events before the page is folded, and puts right what it found."""

    def __init__(self, connection: asyncpg.Connection, check: SnapshotCheck, *, wanted: bool) -> None:
        """Unless `wanted`, it does nothing: a walk of holds alone says nothing of accounts."""
        self._connection = connection
        self._check = check
        self._wanted = wanted

    async def expect_accounts(
        self, accounts: AccountRange, after_version: int, rows: Sequence[StoredRow] | Sequence[FoldRow]
    ) -> None:
        """Of a page in the order of accounts and versions, after that version of the first account."""
        if rows and self._wanted:
            _, account_id, version, *_ = rows[-1]
            after = (accounts.first, after_version)
            self._expect(await snapshots_of_accounts(self._connection, after, (account_id, version)))

    async def expect_between(self, rows: Sequence[FoldRow]) -> None:
        """Of a page in the order of positions."""
        if self._wanted:
            self._expect(await snapshots_between(self._connection, rows[0][0], rows[-1][0]))

    def _expect(self, rows: Sequence[SnapshotRow]) -> None:
        self._check.expected = {row.position: row for row in rows}

    async def repair(self) -> None:
        """Write over what was found to be wrong; outside of the page's transaction, which only reads."""
        right, self._check.right = self._check.right, []
        for snapshot in right:
            await store_snapshot(self._connection, snapshot, repairing=True)

    async def finish(self, accounts: AccountRange, *, repairing: bool) -> None:
        """Name, or remove, those that are of no event."""
        if not self._wanted:
            return
        async for account_id, version in stray_snapshots(self._connection, accounts):
            self._check.find_stray(account_id, version)
            if repairing:
                await remove_snapshot(self._connection, account_id, version)


def _difference(row: SnapshotRow, folded: Folded, right: Snapshot, *, is_whole_part: bool) -> str | None:
    columns: dict[str, tuple[object, object]] = {
        "account_id": (row.account_id, right.account.account_id),
        "version": (row.version, folded.version),
        "hash": (row.hash, folded.head),
        "state": (row.state, encode(right.account).decode()),
    }
    if is_whole_part:
        columns["after_version"] = (row.after_version, right.after_version)
        columns["earliest_at"] = (row.earliest_at, right.earliest_at)
    return ", ".join(name for name, (stored, said) in columns.items() if stored != said) or None
