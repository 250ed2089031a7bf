"""Reads a delivered message as one of the events that people are told about."""

from datetime import datetime
from typing import Final, get_args

from chassis.dead_letters import PoisonError
from contracts.codec import DECODE_ERRORS, fault_of
from contracts.envelope import CloudEvent, event_decoder, event_name
from contracts.events.registry import LEDGER_EVENT_NAMES
from contracts.limits import is_clean_text
from msgspec import Struct, json

from notifier.domain.notices import ToldEvent

MAX_EVENT_ID_LENGTH: Final = 128

TOLD_EVENTS: Final[dict[str, type[ToldEvent]]] = {
    LEDGER_EVENT_NAMES[told]: told for told in get_args(ToldEvent.__value__)
}


class _Header(Struct, frozen=True):
    type: str


_decode_header: Final = json.Decoder(_Header).decode


def read_event(payload: bytes) -> CloudEvent[ToldEvent]:
    """The event in the payload, wholly validated.

    Raises:
        PoisonError: not JSON, an unknown type, or data that breaks the contract.
    """
    try:
        data_type = _data_type(_decode_header(payload).type)
        event = event_decoder(data_type).decode(payload)
    except DECODE_ERRORS as error:
        raise PoisonError(fault_of(error)) from error
    _require_storable(event)
    return event


def _data_type(cloud_event_type: str) -> type[ToldEvent]:
    try:
        return TOLD_EVENTS[event_name(cloud_event_type)]
    except KeyError as error:
        raise PoisonError("an event that nobody is told about") from error
    except ValueError as error:
        raise PoisonError("not a Solaris event type") from error


def _require_storable(event: CloudEvent[ToldEvent]) -> None:
    if not event.id or not is_clean_text(event.id, MAX_EVENT_ID_LENGTH):
        raise PoisonError("id: not a usable event id")
    if not event.data.cycle_id or not is_clean_text(event.data.cycle_id):
        raise PoisonError("data.cycle_id: not a usable cycle id")
    moments: dict[str, datetime] = {"time": event.time, "data.resets_at": event.data.resets_at}
    for name, moment in moments.items():
        if moment.tzinfo is None:
            raise PoisonError(f"{name}: without a time zone")
        if not 2000 <= moment.year < 9000:
            raise PoisonError(f"{name}: absurd year")
