"""Reads a delivered message as one of the events that people are told about."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, get_args

from chassis.dead_letters import PoisonError
from contracts.codec import DECODE_ERRORS, fault_of
from contracts.envelope import CloudEvent, event_decoder, event_name
from contracts.events.registry import BILLING_EVENT_NAMES, LEDGER_EVENT_NAMES
from contracts.limits import is_clean_text
from msgspec import Struct, json
from msgspec.structs import asdict

from notifier.domain.billing_notices import ToldBillingEvent
from notifier.domain.notices import ToldEvent

MAX_EVENT_ID_LENGTH: Final = 128

TOLD_EVENTS: Final[dict[str, type[ToldEvent]]] = {
    LEDGER_EVENT_NAMES[told]: told for told in get_args(ToldEvent.__value__)
}
TOLD_BILLING_EVENTS: Final[dict[str, type[ToldBillingEvent]]] = {
    BILLING_EVENT_NAMES[told]: told for told in get_args(ToldBillingEvent.__value__)
}


class _Header(Struct, frozen=True):
    type: str


_decode_header: Final = json.Decoder(_Header).decode


def read_event(payload: bytes) -> CloudEvent[ToldEvent]:
    """The event of the ledger in the payload, wholly validated.

    Raises:
        PoisonError: not JSON, an unknown type, or data that breaks the contract.
    """
    event = _decoded(payload, TOLD_EVENTS)
    if not event.data.cycle_id:
        raise PoisonError("data.cycle_id: not a usable cycle id")
    return event


def read_billing_event(payload: bytes) -> CloudEvent[ToldBillingEvent]:
    """The event of billing in the payload, wholly validated; raises as `read_event` does."""
    return _decoded(payload, TOLD_BILLING_EVENTS)


def _decoded[Data: Struct](payload: bytes, told: Mapping[str, type[Data]]) -> CloudEvent[Data]:
    try:
        data_type = _data_type(_decode_header(payload).type, told)
        event = event_decoder(data_type).decode(payload)
    except DECODE_ERRORS as error:
        raise PoisonError(fault_of(error)) from error
    _require_storable(event)
    return event


def _data_type[Data](cloud_event_type: str, told: Mapping[str, type[Data]]) -> type[Data]:
    try:
        return told[event_name(cloud_event_type)]
    except KeyError as error:
        raise PoisonError("an event that nobody is told about") from error
    except ValueError as error:
        raise PoisonError("not a Solaris event type") from error


def _require_storable[Data: Struct](event: CloudEvent[Data]) -> None:
    if not event.id or not is_clean_text(event.id, MAX_EVENT_ID_LENGTH):
        raise PoisonError("id: not a usable event id")
    for name, value in _values_of(event):
        match value:
            case str() if not is_clean_text(value):
                raise PoisonError(f"{name}: not a usable text")
            case datetime() if value.tzinfo is None:
                raise PoisonError(f"{name}: without a time zone")
            case datetime() if not 2000 <= value.year < 9000:
                raise PoisonError(f"{name}: absurd year")
            case _:
                pass


def _values_of[Data: Struct](event: CloudEvent[Data]) -> Iterator[tuple[str, object]]:
    yield "time", event.time
    for name, value in asdict(event.data).items():
        yield f"data.{name}", value
