"""How far the log goes, or went at some position, as figures that are compared later; no I/O."""

from collections.abc import Callable, Sequence
from hashlib import sha256

from msgspec import Struct

from ledger.audit.checkpoints.heads import Head
from ledger.store.log import FoldRow, StoredRow


class Checkpoint(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the log was: kept elsewhere, it shows later that no end was cut off and nothing rewritten, state and all.

    `digest` is SHA-256 over "account version hash" of every account's last event, one line each, by account id. Where
    several processes walked the log it is SHA-256 over the digests of their ranges, which `borders` divided.
    """

    position: int
    events: int
    digest: str
    borders: tuple[str, ...] = ()


class Extent(Struct, frozen=True):
    """A range of accounts up to a position."""

    accounts: int
    events: int
    last_position: int
    digest: bytes


class Tally:
    """Sums up a range of accounts up to `position`, from rows in the order of accounts and versions.

    `on_head` is given each account's last event up to there, with its own position.
    """

    def __init__(self, position: int, on_head: Callable[[Head, int], None] | None = None) -> None:
        self.position = position
        self._on_head = on_head
        self._head_position = 0
        self._accounts = 0
        self._events = 0
        self._last_position = 0
        self._digest = sha256()
        self._account = ""
        self._version = 0
        self._hash = b""

    def add(self, rows: Sequence[StoredRow] | Sequence[FoldRow]) -> None:
        bound = self.position
        for row in rows:
            position = row[0]
            if position > bound:
                continue
            if row[1] != self._account:
                self._close_account()
                self._account = row[1]
            self._events += 1
            self._last_position = max(self._last_position, position)
            self._version, self._hash, self._head_position = row[2], row[-1], position

    def extent(self) -> Extent:
        """Of all that was added; nothing more may be."""
        self._close_account()
        return Extent(self._accounts, self._events, self._last_position, self._digest.digest())

    def _close_account(self) -> None:
        if self._account:
            self._accounts += 1
            head = Head(self._account, self._version, self._hash)
            self._digest.update(head.line)
            if self._on_head is not None:
                self._on_head(head, self._head_position)


def checkpoint_of(extents: Sequence[Extent], borders: tuple[str, ...]) -> Checkpoint:
    """The checkpoint of a log that was walked in these ranges, which are in order."""
    digests = b"".join(extent.digest for extent in extents)
    return Checkpoint(
        position=max(extent.last_position for extent in extents),
        events=sum(extent.events for extent in extents),
        digest=(digests if len(extents) == 1 else sha256(digests).digest()).hex(),
        borders=borders,
    )
