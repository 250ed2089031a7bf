"""What a projection is, and which there are."""

from collections.abc import Sequence
from typing import Protocol

import asyncpg
from contracts.errors import SolarisError
from contracts.events.registry import LedgerEvent

from ledger.store.projected.tables import TableShape
from ledger.store.projected.tracks import PageEvent, Track


class BrokenLogError(SolarisError):
    """The events can't be those of a ledger; the text says why."""


class Projection(Protocol):
    """Something that the log says, as tables; `name` is the one that readers know, `projections.<name>`.

    Whatever changes the rows that the same events make (another event read, a column, a rule) needs a new `version`:
    it is built beside the old one and takes its place. It reads events of the types `reads`, and no others, so that
    those that a newer ledger tells do not hold it up.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def reads(self) -> frozenset[type[LedgerEvent]]: ...
    @property
    def shapes(self) -> Sequence[TableShape]: ...

    async def apply(
        self, connection: asyncpg.Connection, track: Track, events: Sequence[PageEvent[LedgerEvent]]
    ) -> None:
        """Write what these events change, in the caller's transaction, which moves the track past them.

        The same events in pages of other sizes make the same rows, else a rebuild would differ.
        """
