"""Takes the log of many accounts, one event after another: checks each, or only folds it; no I/O."""

from collections.abc import Sequence
from datetime import datetime

from contracts.events.registry import LedgerEvent
from contracts.events.reservations import ReservationExpired, UsageSettled

from ledger.audit.folding import Folded
from ledger.audit.problems import Problem, Problems
from ledger.audit.snapshots import SnapshotCheck
from ledger.store.codec import StoredEvent, UnknownEventTypeError, chain_hash, decode_event
from ledger.store.facts import decode_fact
from ledger.store.log import EPOCH, FoldRow, StoredRow


class Walk:
    """Takes rows in position order, or each account's in version order."""

    def __init__(
        self, problems: Problems, snapshots: SnapshotCheck | None = None, *, holds_since: datetime = EPOCH
    ) -> None:
        self.accounts: dict[str, Folded] = {}
        self._snapshots = snapshots or SnapshotCheck(problems, repaired=None)
        self._problems = problems
        self._holds_since = holds_since

    def take_before(self, account_id: str) -> dict[str, Folded]:
        """The accounts whose ids come before it, which are kept no longer."""
        taken = {each: folded for each, folded in self.accounts.items() if each < account_id}
        for each in taken:
            del self.accounts[each]
        return taken

    def check(self, rows: Sequence[StoredRow]) -> None:
        """Fold whole rows and check all that the log can tell of them.

        A bad event is told once: the chain goes on from the hash that stands with it.
        """
        expected = self._snapshots.expected
        for row in rows:
            _, account_id, version, _, _, _, data, stored_hash = row
            folded = self._folded(account_id)
            if version != folded.version + 1:
                self._gap(folded, row[0], version)
            elif chain_hash(folded.head, account_id, version, data) != stored_hash:
                self._fail(folded, row[0], version, "its hash is not that of the previous hash and its bytes")
            elif row[0] <= folded.position:
                self._fail(folded, row[0], version, f"it stands before version {folded.version} in the log")
            folded.version, folded.head, folded.position = version, stored_hash, row[0]
            event = self._decoded(folded, row)
            if event is not None and folded.sound:
                self._fold(folded, row, event)
            if row[0] in expected:
                self._snapshots.meet(folded)

    def fold(self, rows: Sequence[FoldRow]) -> None:
        """Fold what is needed of each row, on the word of the log."""
        expected = self._snapshots.expected
        for position, account_id, version, event_type, data, stored_hash in rows:
            folded = self._folded(account_id)
            if version != folded.version + 1:
                self._gap(folded, position, version)
            folded.version, folded.head, folded.position = version, stored_hash, position
            if not folded.sound:
                continue
            try:
                fact = decode_fact(event_type, data)
                folded.fold(fact.data, fact.time)
            except UnknownEventTypeError:
                self._fail(folded, position, version, f"unknown event type {event_type}")
            except Exception as error:  # a log that was tampered with can break any assumption of the fold
                self._fail(folded, position, version, f"it can't be folded: {type(error).__name__}: {error}")
            if position in expected:
                self._snapshots.meet(folded)

    def _folded(self, account_id: str) -> Folded:
        folded = self.accounts.get(account_id)
        if folded is None:
            folded = self.accounts[account_id] = Folded(account_id, holds_since=self._holds_since)
        return folded

    def _decoded(self, folded: Folded, row: StoredRow) -> StoredEvent[LedgerEvent] | None:
        position, _, version, _, event_type, _, data, _ = row
        try:
            event = decode_event(event_type, data)
        except UnknownEventTypeError:
            self._fail(folded, position, version, f"unknown event type {event_type}")
            return None
        except Exception as error:  # bytes that were tampered with can break any assumption of the decoder
            self._fail(folded, position, version, f"its bytes can't be decoded: {error}")
            return None
        if named := odd_columns(row, event):
            self._fail(folded, position, version, f"its bytes say otherwise than its columns: {named}")
        return event

    def _fold(self, folded: Folded, row: StoredRow, stored: StoredEvent[LedgerEvent]) -> None:
        try:
            folded.fold(stored.data, stored.time)
        except Exception as error:  # a log that was tampered with can break any assumption of the fold
            self._fail(folded, row[0], row[2], f"it can't be folded: {type(error).__name__}: {error}")
            return
        wrong = _wrong_sum(stored.data)
        if wrong is not None:
            self._problems.add(Problem(row[0], row[1], row[2], wrong))

    def _gap(self, folded: Folded, position: int, version: int) -> None:
        expected = folded.version + 1
        if version > expected:
            missing = f"version {expected}" if version == expected + 1 else f"versions {expected} to {version - 1}"
            self._fail(folded, position, expected, f"{missing} missing before version {version}")
        else:
            self._fail(folded, position, version, f"version {version} after version {folded.version}")

    def _fail(self, folded: Folded, position: int, version: int, reason: str) -> None:
        folded.sound = False
        self._problems.add(Problem(position, folded.account.account_id, version, reason))


def odd_columns(row: StoredRow, event: StoredEvent[LedgerEvent]) -> str:
    """Names of the columns that say otherwise than the event's bytes, with commas between; empty where all agree."""
    columns = {
        "account_id": event.subject == row[1],
        "id": event.id == str(row[3]),
        "type": event.type == row[4],
        "recorded_at": event.time == row[5],
    }
    return ", ".join(name for name, agrees in columns.items() if not agrees)


def _wrong_sum(event: LedgerEvent) -> str | None:
    """A charge whose parts are not the whole."""
    match event:
        case UsageSettled():
            charge = event.split
        case ReservationExpired():
            charge = event.charge
        case _:
            return None
    from_credits = sum(part.tokens for part in charge.from_credits)
    parts = charge.from_allowance + from_credits + charge.to_debt + charge.to_unowed
    if parts == event.billable_tokens:
        return None
    return f"its charge sums to {parts}, but {event.billable_tokens} tokens are billable"
