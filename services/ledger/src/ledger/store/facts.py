"""The part of a stored event that a fold needs, decoded without the rest."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from contracts.envelope import cloud_event_type
from contracts.events.registry import LEDGER_EVENTS, LedgerEvent
from msgspec import Struct, json

from ledger.store.codec import ByType


class Fact[Data](Struct, frozen=True):
    """What happened, and when it was decided."""

    time: datetime
    data: Data


_DECODERS: Final[ByType[Callable[[bytes], Fact[LedgerEvent]]]] = ByType(
    (cloud_event_type(name), json.Decoder(Fact[event_type]).decode)  # type: ignore[valid-type]  # a runtime type
    for name, event_type in LEDGER_EVENTS.items()
)


def decode_fact(event_type: str, data: bytes) -> Fact[LedgerEvent]:
    """Read stored bytes; raises as `codec.decode_event` does."""
    return _DECODERS[event_type](data)
