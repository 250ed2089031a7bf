"""What this process committed last: lets a batch be decided before its rows are locked.

Nothing is trusted that the database does not confirm: the write names the version that each account was decided on, and
is refused when any has moved on. A version covers the account's holds too, for every change of a hold is an event.
"""

from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Final

from ledger.application.submission import Submission
from ledger.domain.account import Account
from ledger.domain.commands import ReserveTokens
from ledger.domain.holds import Hold, HoldState
from ledger.store.rows import BatchState, Changes, Key, LockedAccount, Premises

MAX_ACCOUNTS: Final = 50_000
MAX_HOLDS: Final = 100_000


class RecentAccounts:
    """Accounts and open holds as of their last commit here, and how far the database's clock is from ours."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, tuple[Account, bytes]] = OrderedDict()
        self._holds: OrderedDict[Key, Hold] = OrderedDict()
        self._clock_offset: timedelta | None = None

    def state_for(self, batch: list[Submission]) -> tuple[BatchState, Premises] | None:
        """What the batch would read, and what the write must confirm of it; None if it has to be read after all.

        A reserve's hold that is not known is taken to be new. Commands with an id of their own always look their
        answer up.
        """
        if self._clock_offset is None:
            return None
        accounts: dict[str, LockedAccount] = {}
        holds: dict[Key, Hold] = {}
        unseen: set[Key] = set()
        for submission in batch:
            account_id = submission.account_id
            known = self._accounts.get(account_id)
            if known is None or submission.idempotency is not None or submission.audit is not None:
                return None
            if account_id not in accounts:
                accounts[account_id] = LockedAccount(*known)
            reservation_id = submission.reservation_id
            if reservation_id is None:
                continue
            key = (account_id, reservation_id)
            if (hold := self._holds.get(key)) is not None:
                holds[key] = hold
            elif isinstance(submission.command, ReserveTokens):
                unseen.add(key)
            else:
                return None
        clock = datetime.now(UTC) + self._clock_offset
        versions = {account_id: locked.account.version for account_id, locked in accounts.items()}
        return BatchState(accounts, holds, {}, clock), Premises(versions, clock, unseen)

    def remember(self, state: BatchState, changes: Changes, clock: datetime) -> None:
        """Keep what a commit left behind; `clock` is the database's, just now."""
        self._clock_offset = clock - datetime.now(UTC)
        for account_id, locked in state.accounts.items():
            self._accounts[account_id] = (locked.account, locked.head)
            self._accounts.move_to_end(account_id)
        while len(self._accounts) > MAX_ACCOUNTS:
            self._accounts.popitem(last=False)
        for key, hold in changes.holds.items():
            if hold.state is HoldState.OPEN:
                self._holds[key] = hold
            else:
                self._holds.pop(key, None)
        while len(self._holds) > MAX_HOLDS:
            self._holds.popitem(last=False)

    def forget(self, batch: list[Submission]) -> None:
        """These accounts have moved on elsewhere."""
        for submission in batch:
            self._accounts.pop(submission.account_id, None)

    def forget_all(self) -> None:
        """What was committed is unknown: a connection broke."""
        self._accounts.clear()
        self._holds.clear()
        self._clock_offset = None
