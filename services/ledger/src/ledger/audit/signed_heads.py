"""Compares each account's history up to a checkpoint with the head that was signed then, as a walk comes past."""

from collections.abc import Iterator

from ledger.audit.checkpoints.heads import Head, difference
from ledger.audit.problems import Problem, Problems
from ledger.store.log import AccountRange


class SignedHeads:
    """Of a range of accounts, which are taken in the order of their ids."""

    def __init__(self, heads: Iterator[Head], accounts: AccountRange, problems: Problems) -> None:
        self._heads = (head for head in heads if accounts.first <= head.account_id < accounts.end)
        self._problems = problems
        self._expected = next(self._heads, None)

    def take(self, head: Head, position: int) -> None:
        """The account's last event up to the checkpoint, and where it stands."""
        self._pass(head.account_id)
        known = None
        if self._expected is not None and self._expected.account_id == head.account_id:
            known = self._expected
            self._expected = next(self._heads, None)
        if (reason := difference(known, head)) is not None:
            is_short = known is not None and head.version < known.version
            self._problems.add(Problem(None if is_short else position, head.account_id, head.version, reason))

    def finish(self) -> None:
        """No account comes any more."""
        self._pass(None)

    def _pass(self, account_id: str | None) -> None:
        while self._expected is not None and (account_id is None or self._expected.account_id < account_id):
            missing, self._expected = self._expected, next(self._heads, None)
            reason = difference(missing, None)
            assert reason is not None, "it is missing"
            self._problems.add(Problem(None, missing.account_id, missing.version, reason))
