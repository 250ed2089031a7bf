"""One account as its events make it, with its holds summed up instead of kept; no I/O."""

from collections.abc import Callable
from datetime import datetime, timedelta
from struct import Struct
from typing import Final
from zlib import crc32

from contracts.codec import encode
from contracts.events.registry import LedgerEvent
from contracts.events.reservations import ReservationExpired, ReservationReleased, TokensReserved, UsageSettled

from ledger.domain.account import Account
from ledger.domain.evolve import evolve
from ledger.domain.holds import FINAL_STATES, Hold, HoldState, evolve_hold, may_be_corrected
from ledger.domain.lots import ABOUT_LOTS, LotEvent, LotRecord, evolve_lot
from ledger.store.codec import GENESIS
from ledger.store.log import EPOCH
from ledger.store.projections import HoldSums

OF_RESERVATION: Final = frozenset({TokensReserved, UsageSettled, ReservationReleased, ReservationExpired})

_MICROSECOND: Final = timedelta(microseconds=1)
_pack: Final = Struct(">q").pack

type FinalHold = Callable[[Hold], None]


class Folded:
    """One account.

    `unfinished` has the holds that a later event may still change; the others are added to the sums and given to
    `final_hold`, if anyone asked for them. `sound` turns False with the first event that can't be believed: from there
    on the state is unknown. `position`, `version` and `head` are the last event's. Sums are of the holds that were made
    since `holds_since`, or are open: the rows of others may have left.
    """

    __slots__ = (
        "_count",
        "_earliest_at",
        "_holds_since",
        "_part_after",
        "_records",
        "account",
        "final_hold",
        "head",
        "lots",
        "position",
        "sound",
        "unfinished",
        "version",
    )

    def __init__(self, account_id: str, final_hold: FinalHold | None = None, *, holds_since: datetime = EPOCH) -> None:
        self.account = Account(account_id=account_id)
        self.version = 0
        self.head = GENESIS
        self.position = 0
        self.sound = True
        self.unfinished: dict[str, Hold] = {}
        self.lots: dict[str, LotRecord] = {}
        self.final_hold = final_hold
        self._count = 0
        self._records = 0
        self._holds_since = holds_since
        self._part_after = 0
        self._earliest_at: datetime | None = None

    def fold(self, event: LedgerEvent, at: datetime) -> None:
        """Apply one event; raises whatever a log that was tampered with can make the fold raise."""
        self.account = evolve(self.account, event, at)
        if self._earliest_at is None or at < self._earliest_at:
            self._earliest_at = at
        if type(event) not in OF_RESERVATION:
            if isinstance(event, ABOUT_LOTS):
                self._fold_lot(event, at)
            return
        reservation_id: str = event.reservation_id  # type: ignore[union-attr]  # all of OF_RESERVATION have one
        hold = evolve_hold(self.unfinished.get(reservation_id), event, at)
        assert hold is not None, "an event of a reservation makes its record"
        if hold.state not in FINAL_STATES or may_be_corrected(event):
            self.unfinished[reservation_id] = hold
            return
        self.unfinished.pop(reservation_id, None)
        if hold.reserved_at >= self._holds_since:
            self._count += 1
            self._records += _sum_of(hold)
        if self.final_hold is not None:
            self.final_hold(hold)

    def _fold_lot(self, event: LotEvent, at: datetime) -> None:
        lot = evolve_lot(self.lots.get(event.lot_id), event, at)
        if lot is not None:  # once a lot that never was could be revoked
            self.lots[event.lot_id] = lot

    def begin_part(self) -> tuple[int, datetime | None]:
        """Of the events since the last call: the version before them, and the earliest of their times."""
        ended = self._part_after, self._earliest_at
        self._part_after, self._earliest_at = self.account.version, None
        return ended

    def hold_sums(self) -> HoldSums:
        """Of all holds that are kept, the unfinished included."""
        unfinished = [hold for hold in self.unfinished.values() if is_kept(hold, self._holds_since)]
        return HoldSums(
            holds=self._count + len(unfinished),
            records=self._records + sum(map(_sum_of, unfinished)),
        )


def is_kept(hold: Hold, since: datetime) -> bool:
    """Whether its row must be there, where those of holds made before `since` may have left."""
    return hold.state is HoldState.OPEN or hold.reserved_at >= since


def _sum_of(hold: Hold) -> int:
    """CRC-32 of the record and of its times as Postgres sends them."""
    times = _sent_time(hold.reserved_at)
    if hold.expires_at is not None:
        times += _sent_time(hold.expires_at)
    return crc32(encode(hold) + times)


def _sent_time(moment: datetime) -> bytes:
    return _pack((moment - EPOCH) // _MICROSECOND)
