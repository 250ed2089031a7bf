"""Events as the bytes that are stored and published."""

from contracts.codec import encode
from contracts.envelope import event_decoder
from contracts.events.registry import LedgerEvent
from ledger.domain.account import Account
from ledger.domain.holds import Hold
from ledger.store.codec import TYPES, StoredEvent, decode_event
from msgspec import json

from tests.unit.ledger.story import ACCOUNT_ID, START


def assert_survives_json(event: LedgerEvent) -> None:
    """What the ledger stores it reads again, and a consumer reads the same within the contract's bounds."""
    event_type = type(event)
    name = TYPES[event_type]
    stored = encode(
        StoredEvent(id="0192e4a0-0000-7000-8000-000000000000", type=name, subject=ACCOUNT_ID, time=START, data=event)
    )
    assert decode_event(name, stored).data == event
    consumed = event_decoder(event_type).decode(stored)
    assert (consumed.type, consumed.subject, consumed.time, consumed.data) == (name, ACCOUNT_ID, START, event)
    assert type(consumed.data) is event_type


def assert_state_survives_json(account: Account, holds: dict[str, Hold]) -> None:
    assert json.decode(json.encode(account), type=Account) == account
    for hold in holds.values():
        assert json.decode(json.encode(hold), type=Hold) == hold
