"""What was granted and revoked of one lot, for good: the account's state forgets a lot that is used up."""

from datetime import datetime
from typing import Final, Literal

from contracts.events.credits import CreditsGranted, CreditsRevoked
from contracts.events.registry import LedgerEvent
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

ABOUT_LOTS: Final = (CreditsGranted, CreditsRevoked)
LOT_FORMAT: Final = 1
"""Of the stored record, which says nothing of it as long as it is the first, as a hold's."""


class LotRecord(Struct, frozen=True, kw_only=True):
    """One grant; tokens are billable tokens."""

    format: Literal[1] | UnsetType = UNSET
    lot_id: str
    granted_at: datetime
    granted: int
    revoked: int = 0
    source: str = ""
    reference: str = ""
    expires_at: datetime | None = None

    @property
    def revocable(self) -> int:
        """What a refund may still take back, spent or not."""
        return self.granted - self.revoked


def evolve_lot(lot: LotRecord | None, event: LedgerEvent, at: datetime) -> LotRecord | None:
    """The record after one event; events that are not a grant or a revocation leave it as it is."""
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
            return replace(lot, revoked=lot.revoked + event.tokens)
        case _:
            return lot
