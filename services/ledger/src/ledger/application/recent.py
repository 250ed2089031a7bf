"""What this process committed last: lets a batch be decided before anything is read.

Nothing is trusted that the database does not confirm: the write names the version that each account was decided on, and
is refused where any has moved on. A version covers the account's holds too, for every change of a hold is an event; so
holds are remembered inside their account, and leave memory with it.
"""

from collections import OrderedDict
from collections.abc import Collection
from datetime import datetime
from typing import Final

from msgspec import Struct, field

from ledger.application.submission import Submission
from ledger.domain.account import Account
from ledger.domain.commands import ReserveTokens
from ledger.domain.holds import Hold, HoldState
from ledger.store.rows import BatchState, ChainedAccount, Changes, Premises

MAX_ACCOUNTS: Final = 50_000
MAX_HOLDS: Final = 100_000


class RecentAccount(Struct):
    """An account as of its last commit here, the hash of its last event, and such of its open holds as were seen."""

    account: Account
    head: bytes
    open_holds: dict[str, Hold] = field(default_factory=dict)


class RecentAccounts:
    """The accounts committed last."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, RecentAccount] = OrderedDict()
        self._holds = 0

    def state_for(self, batch: list[Submission], clock: datetime) -> BatchState | None:
        """What the batch would read at the time `clock`; None if it has to be read after all.

        A reserve's hold that is not known is taken to be new. Commands with an id of their own always look their
        answer up, and those that name a lot its record.
        """
        state = BatchState({}, {}, {}, clock)
        for submission in batch:
            account_id = submission.account_id
            known = self._accounts.get(account_id)
            if known is None or submission.retries or submission.idempotency is not None or submission.lot_id:
                return None
            if account_id not in state.accounts:
                state.accounts[account_id] = ChainedAccount(known.account, known.head)
            reservation_id = submission.reservation_id
            if reservation_id is None:
                continue
            key = (account_id, reservation_id)
            if (hold := known.open_holds.get(reservation_id)) is not None:
                state.holds[key] = hold
            elif isinstance(submission.command, ReserveTokens):
                state.unseen.add(key)
            else:
                return None
        return state

    def remember(self, state: BatchState, premises: Premises, changes: Changes, stale: Collection[str]) -> None:
        """Keep what a commit left behind, but of `stale` accounts nothing."""
        for account_id in stale:
            self._forget(account_id)
        for account_id, chained in state.accounts.items():
            if account_id in stale or account_id in state.unreadable or not chained.account.is_open:
                continue
            known = self._accounts.get(account_id)
            if known is None:
                self._accounts[account_id] = RecentAccount(chained.account, chained.head)
                continue
            if known.account.version != premises.versions[account_id]:
                self._forget_holds(known)  # it was read anew: what was remembered is of another version
            known.account, known.head = chained.account, chained.head
            self._accounts.move_to_end(account_id)
        for (account_id, reservation_id), hold in changes.holds.items():
            if account_id not in stale:
                self._note_hold(self._accounts[account_id], reservation_id, hold)
        while len(self._accounts) > MAX_ACCOUNTS or self._holds > MAX_HOLDS:
            _, oldest = self._accounts.popitem(last=False)
            self._forget_holds(oldest)

    def forget(self, batch: Collection[Submission]) -> None:
        """These accounts are to be read again."""
        for submission in batch:
            self._forget(submission.account_id)

    def forget_all(self) -> None:
        """What was committed is unknown: a connection broke."""
        self._accounts.clear()
        self._holds = 0

    def _note_hold(self, known: RecentAccount, reservation_id: str, hold: Hold) -> None:
        before = len(known.open_holds)
        if hold.state is HoldState.OPEN:
            known.open_holds[reservation_id] = hold
        else:
            known.open_holds.pop(reservation_id, None)
        self._holds += len(known.open_holds) - before

    def _forget(self, account_id: str) -> None:
        known = self._accounts.pop(account_id, None)
        if known is not None:
            self._forget_holds(known)

    def _forget_holds(self, known: RecentAccount) -> None:
        self._holds -= len(known.open_holds)
        known.open_holds.clear()
