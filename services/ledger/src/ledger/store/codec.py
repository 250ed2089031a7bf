"""States, holds and events as the bytes that stand in Postgres.

An event's stored bytes are its whole CloudEvent: what is hashed is what is published, and nothing is encoded twice.
"""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Final

from contracts.envelope import cloud_event_type
from contracts.events.registry import LEDGER_EVENT_NAMES, LEDGER_EVENTS, LedgerEvent
from msgspec import Struct, ValidationError, json
from msgspec.structs import asdict

from ledger.domain.account import STATE_FORMAT, Account
from ledger.domain.holds import HOLD_FORMAT, Hold
from ledger.domain.lots import LOT_FORMAT, LotRecord

GENESIS: Final = bytes(32)
"""The previous hash of an account's first event."""
SOURCE: Final = "solaris/ledger"


class UnknownEventTypeError(Exception):
    """A stored event has a type that this version does not know."""


class ByType[Value](dict[str, Value]):
    """What belongs to each type of event; asking for a type that this version does not know is an error of its own."""

    def __missing__(self, event_type: str) -> Value:
        raise UnknownEventTypeError(event_type)


class StoredEvent[Data](Struct, frozen=True, kw_only=True):
    """A CloudEvent as it is stored: `data` is the event, `time` when it was decided."""

    specversion: str = "1.0"
    id: str
    type: str
    source: str = SOURCE
    subject: str
    time: datetime
    correlationid: str | None = None
    causationid: str | None = None
    datacontenttype: str = "application/json"
    data: Data


TYPES: Final[dict[type, str]] = {event_type: cloud_event_type(name) for event_type, name in LEDGER_EVENT_NAMES.items()}
_DECODERS: Final[ByType[Callable[[bytes], StoredEvent[LedgerEvent]]]] = ByType(
    (cloud_event_type(name), json.Decoder(StoredEvent[event_type]).decode)  # type: ignore[valid-type]  # a runtime type
    for name, event_type in LEDGER_EVENTS.items()
)
_decode_hold: Final = json.Decoder(Hold).decode
_decode_lot: Final = json.Decoder(LotRecord).decode
_decode_account: Final = json.Decoder(Account).decode


class _SecondFormat(Account, frozen=True, kw_only=True, tag_field="format", tag=2):
    """A state without subscriptions. One of the first format says nothing of its format, and is read as the last."""


_decode_second: Final = json.Decoder(_SecondFormat).decode


class _Header(Struct, frozen=True):
    """States of the first format say nothing of it."""

    format: int = 1


_decode_header: Final = json.Decoder(_Header).decode


class NewerStateError(Exception):
    """What is stored is of a later format than this version knows: to read it would be to lose what it can't name."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(f"its format is {found}, this version knows {known}: a newer process has written it")


def format_of(document: str | bytes) -> int:
    """The format of a stored state; below `STATE_FORMAT`, it is to be folded anew from the log."""
    return _decode_header(document).format


def decode_account(document: str | bytes) -> Account:
    """Read a stored state; of an earlier format, what that did not have is as in an account that was never opened.

    Raises:
        NewerStateError: it was written by a later version.
        msgspec.DecodeError: it is no state.
    """
    try:
        return _decode(_decode_account, document, STATE_FORMAT)
    except ValidationError:
        if format_of(document) != 2:
            raise
        return Account(**asdict(_decode_second(document)))


def decode_hold(document: str | bytes) -> Hold:
    """Read a hold's record; raises as `decode_account` does."""
    return _decode(_decode_hold, document, HOLD_FORMAT)


def decode_lot(document: str | bytes) -> LotRecord:
    """Read a lot's record; raises as `decode_account` does."""
    return _decode(_decode_lot, document, LOT_FORMAT)


def _decode[Stored](decoder: Callable[[str | bytes], Stored], document: str | bytes, known: int) -> Stored:
    try:
        return decoder(document)
    except ValidationError:
        if (found := format_of(document)) > known:
            raise NewerStateError(found, known) from None
        raise


def decode_event(event_type: str, data: bytes) -> StoredEvent[LedgerEvent]:
    """Read stored bytes.

    Raises:
        UnknownEventTypeError: no such type.
        msgspec.DecodeError: the bytes are not an event of the type.
    """
    return _DECODERS[event_type](data)


def chain_hash(previous: bytes, account_id: str, version: int, data: bytes) -> bytes:
    """SHA-256 over the previous hash, the account, the version and the stored bytes, each delimited."""
    account = account_id.encode()
    header = b"%b%d:%b%d:" % (previous, len(account), account, version)
    return sha256(header + data).digest()
