"""Reads a delivered message as one of the events that people are told about."""

import hashlib
from datetime import datetime
from typing import Final

from contracts.envelope import CloudEvent, event_adapter, event_name
from contracts.events import AccessRestored, AllowanceExhausted, ThresholdCrossed, TokensExhausted
from contracts.limits import is_clean_text
from pydantic import TypeAdapter, ValidationError

from notifier.domain.notices import ToldEvent

MAX_REASON_LENGTH: Final = 400
MAX_EVENT_ID_LENGTH: Final = 128

TOLD_EVENTS: Final[dict[str, type[ToldEvent]]] = {
    "ledger.threshold_crossed": ThresholdCrossed,
    "ledger.allowance_exhausted": AllowanceExhausted,
    "ledger.tokens_exhausted": TokensExhausted,
    "ledger.access_restored": AccessRestored,
}
_ENVELOPE: Final[TypeAdapter[dict[str, object]]] = TypeAdapter(dict[str, object])


class UnreadableEventError(Exception):
    """The message is no event of ours and never will be; the text says why, without quoting it."""


def read_event(payload: bytes) -> CloudEvent[ToldEvent]:
    """The event in the payload, wholly validated.

    Raises:
        UnreadableEventError: not JSON, an unknown type, or data that breaks the contract.
    """
    try:
        data_type = TOLD_EVENTS[event_name(str(_ENVELOPE.validate_json(payload).get("type")))]
        event = _adapter(data_type).validate_json(payload)
    except ValidationError as error:
        raise UnreadableEventError(_summary(error)) from error
    except KeyError as error:
        raise UnreadableEventError("an event that nobody is told about") from error
    except ValueError as error:
        raise UnreadableEventError("not a Solaris event type") from error
    _require_storable(event)
    return event


def _adapter(data_type: type[ToldEvent]) -> TypeAdapter[CloudEvent[ToldEvent]]:
    # mypy sees no hashable in a union of classes; every class is one.
    return event_adapter(data_type)  # type: ignore[arg-type]


def _require_storable(event: CloudEvent[ToldEvent]) -> None:
    if not event.id or not is_clean_text(event.id, MAX_EVENT_ID_LENGTH):
        raise UnreadableEventError("id: not a usable event id")
    if not event.data.cycle_id or not is_clean_text(event.data.cycle_id):
        raise UnreadableEventError("data.cycle_id: not a usable cycle id")
    moments: dict[str, datetime] = {"time": event.time, "data.resets_at": event.data.resets_at}
    for name, moment in moments.items():
        if moment.tzinfo is None:
            raise UnreadableEventError(f"{name}: without a time zone")
        if not 2000 <= moment.year < 9000:
            raise UnreadableEventError(f"{name}: absurd year")


def _summary(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    lines = (f"{'.'.join(str(part) for part in problem['loc']) or 'payload'}: {problem['msg']}" for problem in problems)
    return "; ".join(lines)[:MAX_REASON_LENGTH]


def poison_id(subject: str, payload: bytes) -> str:
    """Names an unreadable message by its content: a repaired one under the same event id is another message."""
    return f"poison:{hashlib.sha256(subject.encode() + b'\0' + payload).hexdigest()}"
