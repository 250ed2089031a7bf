"""Events as the bytes that are stored and published."""

from contracts.envelope import CloudEvent, cloud_event_type, event_adapter
from contracts.events import LEDGER_EVENT_NAMES, LEDGER_EVENTS, LedgerEvent
from ledger.domain.account import Account
from ledger.domain.holds import Hold
from msgspec import json

from tests.unit.ledger.story import ACCOUNT_ID, START

DECODERS = {
    event_type: json.Decoder(CloudEvent[event_type])  # type: ignore[valid-type]  # a runtime type
    for event_type in LEDGER_EVENTS.values()
}


def assert_survives_json(event: LedgerEvent) -> None:
    """What the ledger writes it reads again, a consumer's pydantic reads the same, and what that writes, the ledger."""
    event_type = type(event)
    envelope = CloudEvent(
        id="0192e4a0-0000-7000-8000-000000000000",
        type=cloud_event_type(LEDGER_EVENT_NAMES[event_type]),
        source="solaris/ledger",
        subject=ACCOUNT_ID,
        time=START,
        data=event,
    )
    stored = json.encode(envelope)
    assert DECODERS[event_type].decode(stored) == envelope
    adapter = event_adapter(event_type)  # type: ignore[arg-type]  # mypy takes no union of types for a hashable
    consumed = adapter.validate_json(stored)
    assert consumed == envelope
    assert type(consumed.data) is event_type
    assert DECODERS[event_type].decode(adapter.dump_json(consumed)) == envelope


def assert_state_survives_json(account: Account, holds: dict[str, Hold]) -> None:
    assert json.decode(json.encode(account), type=Account) == account
    for hold in holds.values():
        assert json.decode(json.encode(hold), type=Hold) == hold
