"""What outstanding holds are made of, between the counting and the SQL."""

from datetime import datetime
from typing import NamedTuple

from msgspec import Struct, field

from ledger.store.projected.usage_rows import ReservationKey


class OutstandingHold(NamedTuple):
    """A hold that awaits its usage; `state` is open until it was charged without any, then it is unsettled.

    `tokens` are billable: held while it is open, charged when it is not. `expires_at` is until when usage is awaited.
    """

    state: str
    reserved_at: datetime
    expires_at: datetime
    model: str
    endpoint: str
    cycle_id: str
    tokens: int


class OutstandingChanges(Struct):
    """What a page of events makes of holds: first the `ended` go, then the `made` come, then the `charged` are so."""

    made: dict[ReservationKey, OutstandingHold] = field(default_factory=dict)
    charged: set[ReservationKey] = field(default_factory=set)
    ended: set[ReservationKey] = field(default_factory=set)
