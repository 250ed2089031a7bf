"""What the write path reads and writes, between the decisions and the SQL."""

from datetime import datetime

from msgspec import Struct, field
from prometheus_client import Counter

from ledger.domain.account import Account
from ledger.domain.holds import Hold
from ledger.domain.lots import LotRecord

type Key = tuple[str, str]
"""An account id with the id of a reservation, a lot or a command of that account."""


class AuditEntry(Struct, frozen=True, kw_only=True):
    """What a person did and why; events carry its id alone."""

    id: str
    actor: str
    action: str
    reason: str
    details: dict[str, object]


class ChainedAccount(Struct):
    """An account and the hash of its last event, which the next one is chained to."""

    account: Account
    head: bytes


class EventRow(Struct, frozen=True):
    account_id: str
    version: int
    id: str
    type: str
    recorded_at: datetime
    data: bytes
    hash: bytes


class StoredCommand(Struct, frozen=True):
    """A command that was executed before, with the answer that it got."""

    content_hash: str
    answer: str


class BatchState(Struct):
    """What a batch is decided on, changed in place by each decision in turn.

    Holds live by `clock`, the database's; accounts by `now`, which is the same (None) unless that clock is doubted.

    Holds, lots and commands that are not here do not exist, but for `unseen`: reservations that were taken to be new
    without looking. `unreadable` accounts have a state or a record that this version can't read, and why; `outdated`
    ones a state of an earlier format, to be folded anew before anything is decided on it.
    """

    accounts: dict[str, ChainedAccount]
    holds: dict[Key, Hold]
    commands: dict[Key, StoredCommand]
    clock: datetime
    now: datetime | None = None
    lots: dict[Key, LotRecord] = field(default_factory=dict)
    unseen: set[Key] = field(default_factory=set)
    outdated: set[str] = field(default_factory=set)
    unreadable: dict[str, Exception] = field(default_factory=dict)

    def premises(self, *, confirm_time: bool = True) -> "Premises":
        """What the decisions to come take for granted; to be asked before the first of them."""
        versions = {account_id: chained.account.version for account_id, chained in self.accounts.items()}
        return Premises(versions, self.clock if confirm_time else None, self.unseen, frozenset(self.holds))


class Premises(Struct, frozen=True):
    """What decisions took for granted, for the database to confirm.

    `versions` of the accounts; the time of the decisions (None: any); reservations that were taken to be new without
    looking, and those whose hold was known.
    """

    versions: dict[str, int]
    decided_at: datetime | None
    unseen: set[Key]
    known_holds: frozenset[Key] = frozenset()


class Changes(Struct):
    """The rows to write, in the order of decision, and what is to be counted of an account once they are written."""

    events: list[EventRow] = field(default_factory=list)
    accounts: dict[str, ChainedAccount] = field(default_factory=dict)
    holds: dict[Key, Hold] = field(default_factory=dict)
    lots: dict[Key, LotRecord] = field(default_factory=dict)
    commands: dict[Key, StoredCommand] = field(default_factory=dict)
    audit: list[tuple[str, AuditEntry]] = field(default_factory=list)
    counts: list[tuple[str, Counter, int]] = field(default_factory=list)
