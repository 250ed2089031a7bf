"""Reads the page after the one that is being written: the database reads while this process folds, and the reverse."""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
from chassis.postgres import DATABASE_ERRORS

from ledger.projections.advancing import Followed, apply_page, types_of
from ledger.store.projected.tracks import PAGE_EVENTS, Page, connect_for_projecting, load_page

MOST_MISSES: Final = 2
"""So often another page may be asked for before one that waits to be asked for is thrown away."""


class ReadingAhead:
    """One page at most, on a connection of its own that is there as long as there is more to read than a page.

    What is read of the log never changes, so whoever moved a track meanwhile, the page is right for where it begins.
    """

    def __init__(self, database_url: str, application_name: str) -> None:
        self._database_url = database_url
        self._name = application_name
        self._connection: asyncpg.Connection | None = None
        self._begins_at: tuple[int, frozenset[type]] | None = None
        self._reading: asyncio.Task[Page] | None = None
        self._misses = 0

    async def advance(self, connection: asyncpg.Connection, followed: Sequence[Followed], up_to: int) -> int:
        """As `advancing.advance`."""
        page = await self._page(connection, followed, up_to)
        if page.count == PAGE_EVENTS:
            self._read_on(page.last, up_to, types_of(followed))
        await apply_page(connection, followed, page)
        return page.count

    def close(self) -> None:
        """Stop reading."""
        if self._reading is not None and not self._reading.cancel() and not self._reading.cancelled():
            self._reading.exception()  # nobody else asks for it any more
        if self._connection is not None:
            self._connection.terminate()
        self._reading = self._connection = self._begins_at = None

    async def _page(self, connection: asyncpg.Connection, followed: Sequence[Followed], up_to: int) -> Page:
        after, types = followed[0].track.position, types_of(followed)
        if self._reading is not None and self._begins_at == (after, types):
            reading, self._reading = self._reading, None
            try:
                page = await reading
            except DATABASE_ERRORS:  # what is wrong with the database shows on the connection that writes
                self.close()
            else:
                if page.count:
                    return page
        elif self._reading is not None:
            self._misses += 1
        page = await load_page(connection, after, up_to, types)
        if page.count < PAGE_EVENTS and self._reading is None:
            self.close()
        return page

    def _read_on(self, after: int, up_to: int, types: frozenset[type]) -> None:
        if self._reading is not None:
            if self._misses <= MOST_MISSES:
                return
            self.close()
        self._misses, self._begins_at = 0, (after, types)
        self._reading = asyncio.create_task(self._read(after, up_to, types))

    async def _read(self, after: int, up_to: int, types: frozenset[type]) -> Page:
        if self._connection is None:
            self._connection = await connect_for_projecting(self._database_url, self._name)
        return await load_page(self._connection, after, up_to, types)
