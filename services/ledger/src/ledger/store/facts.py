"""What an account's stored events say: the part of each that a fold needs, decoded without the rest."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Final

import asyncpg
from contracts.envelope import cloud_event_type
from contracts.events.registry import LEDGER_EVENTS, LedgerEvent
from msgspec import Struct, json

from ledger.store.codec import TYPES, ByType
from ledger.store.log import STATEMENT_TIMEOUT_SECONDS

_FACTS: Final = """
SELECT type, data, version FROM ledger.events
WHERE account_id = $1 AND version > $2 AND version <= $3 AND ($4::text[] IS NULL OR type = ANY ($4))
ORDER BY version LIMIT 1000
"""
_MAX_VERSION: Final = 2**63 - 1


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


async def facts_of(
    connection: asyncpg.Connection,
    account_id: str,
    *,
    types: Sequence[type[LedgerEvent]] | None = None,
    after: int = 0,
    last: int = _MAX_VERSION,
) -> AsyncIterator[Fact[LedgerEvent]]:
    """One account's events behind version `after` up to `last`, in version order: of some types, or all."""
    names = None if types is None else [TYPES[each] for each in types]
    version = after
    while rows := await connection.fetch(_FACTS, account_id, version, last, names, timeout=STATEMENT_TIMEOUT_SECONDS):
        for event_type, data, _ in rows:
            yield decode_fact(event_type, data)
        version = rows[-1]["version"]
