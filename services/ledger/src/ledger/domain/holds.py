"""A reservation's own record: what it held, what it answered, how it ended."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

from contracts.events.charges import Charge
from contracts.events.rates import Rates
from contracts.events.registry import LedgerEvent
from contracts.events.reservations import (
    ReservationExpired,
    ReservationReleased,
    TokensReserved,
    UsageSettled,
    WindowRef,
)
from contracts.usage import UsageSource
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

HOLD_FORMAT: Final = 1
"""Of the stored record, which says nothing of it as long as it is the first. Nothing is decided on a later one."""


HOLDS_KEPT: Final = timedelta(days=400)
"""How long after it was made a hold that has ended is kept."""
USAGE_TAKEN: Final = HOLDS_KEPT - timedelta(days=10)
"""How long after a call began its usage is taken that no hold is known of: later, it may have been charged by one that
is gone. Gateways' clocks are less than the difference from ours."""


class HoldState(StrEnum):
    """`expired` is charged in full and still open to one correction; the others but `open` are final."""

    OPEN = "open"
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"


FINAL_STATES: Final = frozenset({HoldState.SETTLED, HoldState.RELEASED})
"""No later event changes such a hold, unless it `may_be_corrected`."""


class Hold(Struct, frozen=True, kw_only=True):
    """Kept for `HOLDS_KEPT`: it makes reserve and settle idempotent and is the basis of corrections.

    `charge` and `billable_tokens` are the final split. A terminal record without a reserve has `tokens` None.
    `corrected_hash` is of an estimate that has given way to the provider's figures: told again, it changes nothing.
    """

    format: Literal[1] | UnsetType = UNSET
    reservation_id: str
    state: HoldState
    reserved_at: datetime
    tokens: int | None = None
    cycle_id: str = ""
    expires_at: datetime | None = None
    rates: Rates = Rates()
    catalog_version: str = ""
    reserve_hash: str = ""
    output_tokens: int = 0
    write_maximum: bool = False
    available_after: int = 0
    model: str = ""
    endpoint: str = ""
    usage_hash: str = ""
    billable_tokens: int = 0
    charge: Charge = Charge()
    windows: tuple[WindowRef, ...] = ()
    observed: bool = False
    corrected_hash: str | UnsetType = UNSET


def may_be_corrected(event: LedgerEvent) -> bool:
    """Whether the end that it tells is our own count, which gives way to the provider's figures."""
    return isinstance(event, UsageSettled) and event.usage_source is UsageSource.ESTIMATED


def evolve_hold(hold: Hold | None, event: LedgerEvent, at: datetime) -> Hold | None:
    """The record after one event of its reservation; events that are not about a reservation leave it as it is."""
    match event:
        case TokensReserved():
            return Hold(
                reservation_id=event.reservation_id,
                state=HoldState.OPEN,
                reserved_at=at,
                tokens=event.tokens,
                cycle_id=event.cycle_id,
                expires_at=event.expires_at,
                rates=event.rates,
                catalog_version=event.catalog_version,
                reserve_hash=event.content_hash,
                output_tokens=event.output_tokens,
                write_maximum=event.write_maximum,
                available_after=event.available_after,
                model=event.model,
                endpoint=event.endpoint,
                windows=event.windows,
                observed=event.observed,
            )
        case ReservationReleased():
            known = hold or _unreserved(event.reservation_id, event.cycle_id, event.model, event.endpoint, at)
            return replace(known, state=HoldState.RELEASED, usage_hash=event.content_hash)
        case ReservationExpired():
            assert hold is not None, "only a hold can expire"
            return replace(hold, state=HoldState.EXPIRED, billable_tokens=event.billable_tokens, charge=event.charge)
        case UsageSettled():
            known = hold or _unreserved(event.reservation_id, event.cycle_id, event.model, event.endpoint, at)
            return replace(
                known,
                state=HoldState.SETTLED,
                usage_hash=event.content_hash,
                billable_tokens=event.billable_tokens,
                charge=event.split,
                corrected_hash=UNSET if event.corrects_estimate is None else event.corrects_estimate.content_hash,
            )
        case _:
            return hold


def _unreserved(reservation_id: str, cycle_id: str, model: str, endpoint: str, at: datetime) -> Hold:
    return Hold(
        reservation_id=reservation_id,
        state=HoldState.OPEN,
        reserved_at=at,
        cycle_id=cycle_id,
        model=model,
        endpoint=endpoint,
    )
