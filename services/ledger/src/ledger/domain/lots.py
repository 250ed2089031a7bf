"""What was granted and revoked of one lot, for good: the account's state forgets a lot that is used up."""

from datetime import datetime
from typing import Final, Literal

from contracts.events.credits import CreditsGranted, CreditsRestored, CreditsRevoked
from contracts.events.registry import LedgerEvent
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

type LotEvent = CreditsGranted | CreditsRevoked | CreditsRestored
ABOUT_LOTS: Final = (CreditsGranted, CreditsRevoked, CreditsRestored)
LOT_FORMAT: Final = 2
"""Of the stored record, which says nothing of it as long as it is the first: as long as billing revised nothing."""


class LotRecord(Struct, frozen=True, kw_only=True):
    """One grant; tokens are billable tokens. `revision` is the last of what billing took or gave back of an order."""

    format: Literal[1, 2] | UnsetType = UNSET
    lot_id: str
    granted_at: datetime
    granted: int
    revoked: int = 0
    restored: int = 0
    revision: int = 0
    source: str = ""
    reference: str = ""
    expires_at: datetime | None = None

    @property
    def revocable(self) -> int:
        """What a refund may still take back, spent or not."""
        return self.granted - self.restorable

    @property
    def restorable(self) -> int:
        """What is taken back of it, and may be given back."""
        return self.revoked - self.restored


def evolve_lot(lot: LotRecord | None, event: LedgerEvent, at: datetime) -> LotRecord | None:
    """The record after one event; those that are not about what was granted leave it as it is."""
    match event:
        case CreditsGranted() if lot is not None:
            # Once the same lot could be granted again; what may be revoked of it is the sum.
            return replace(lot, granted=lot.granted + event.tokens)
        case CreditsGranted():
            return LotRecord(
                lot_id=event.lot_id,
                granted_at=at,
                granted=event.tokens,
                source=event.source,
                reference=event.reference,
                expires_at=event.expires_at,
            )
        case CreditsRevoked() if lot is not None:
            return _revised(replace(lot, revoked=lot.revoked + event.tokens), event.revision)
        case CreditsRestored() if lot is not None:
            return _revised(replace(lot, format=LOT_FORMAT, restored=lot.restored + event.tokens), event.revision)
        case _:
            return lot


def _revised(lot: LotRecord, revision: int | None) -> LotRecord:
    return lot if revision is None else replace(lot, format=LOT_FORMAT, revision=max(lot.revision, revision))
