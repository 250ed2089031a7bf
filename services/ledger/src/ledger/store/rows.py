"""What the write path reads and writes, as rows."""

from dataclasses import dataclass, field
from datetime import datetime

from msgspec import Struct

from ledger.domain.account import Account
from ledger.domain.holds import Hold

type Key = tuple[str, str]
"""An account id with a reservation id or a command id of that account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """What a person did and why; events carry its id alone."""

    id: str
    actor: str
    action: str
    reason: str
    details: dict[str, object]


@dataclass(slots=True)
class LockedAccount:
    """An account whose row this transaction holds; `head` is the hash of its last event."""

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


@dataclass(frozen=True, slots=True)
class StoredCommand:
    """A command that was executed before, with the answer that it got."""

    content_hash: str
    answer: str


@dataclass(slots=True)
class BatchState:
    """What the transaction read, changed in place by each decision in turn."""

    accounts: dict[str, LockedAccount]
    holds: dict[Key, Hold]
    commands: dict[Key, StoredCommand]
    clock: datetime


@dataclass(frozen=True, slots=True)
class Premises:
    """What a decision on remembered states took for granted, for the database to confirm.

    `versions` of the accounts, the time of the decision, and reservations that were taken to be new.
    """

    versions: dict[str, int]
    decided_at: datetime
    unseen: set[Key]


@dataclass(slots=True)
class Changes:
    """The rows to write, in the order of decision."""

    events: list[EventRow] = field(default_factory=list)
    accounts: dict[str, LockedAccount] = field(default_factory=dict)
    holds: dict[Key, Hold] = field(default_factory=dict)
    commands: dict[Key, StoredCommand] = field(default_factory=dict)
    audit: list[tuple[str, AuditEntry]] = field(default_factory=list)
