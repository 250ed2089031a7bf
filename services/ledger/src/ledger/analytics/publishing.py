"""Keeps the views of `analytics` up with what they are made of: a projection that is built later shows by itself."""

import asyncio
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS

from ledger.store.analytics import View, publish, sources_there
from ledger.store.analytics_views import VIEWS
from ledger.store.projected.tracks import connect_for_projecting

log = structlog.get_logger()

LOOK_SECONDS: Final = 5.0
"""How soon a new source shows; within the time after which an idle session ends."""


class Publisher:
    """Looks every few seconds whether all is published as it is to be; several may."""

    def __init__(self, database_url: str, time_zone: str) -> None:
        self._database_url = database_url
        self._time_zone = time_zone
        self._stopping = asyncio.Event()
        self._published: frozenset[str] | None = None

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Until asked to stop; without the database, or while readers are in the way, it is tried again."""
        while not self._stopping.is_set():
            try:
                connection = await connect_for_projecting(self._database_url, "projector-analytics")
                try:
                    while not self._stopping.is_set():
                        await self._look(connection)
                        await self._wait()
                finally:
                    connection.terminate()
            except DATABASE_ERRORS as error:
                log.warning("analytics_not_published", error=repr(error)[:500])
                await self._wait()

    async def _look(self, connection: asyncpg.Connection) -> None:
        there = await sources_there(connection, VIEWS)
        if there == self._published:
            return
        done = [await self._publish(connection, view, there) for view in VIEWS]
        if all(done):
            self._published = there
            log.info("analytics_published", sources=len(there))

    async def _publish(self, connection: asyncpg.Connection, view: View, there: frozenset[str]) -> bool:
        try:
            return await publish(connection, view, self._time_zone, there)
        except (asyncpg.LockNotAvailableError, asyncpg.InvalidTableDefinitionError) as error:
            # Read for long, or made by a release that has more of it: the others go on.
            log.warning("view_not_published", view=view.name, error=str(error))
            return False

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._stopping.wait()
        except TimeoutError:
            return
