"""Keeps a snapshot of every account's each thousandth event, behind the log and aside from whoever appends to it."""

import asyncio
from typing import Final

import asyncpg
import structlog
from chassis.postgres import DATABASE_ERRORS

from ledger.domain.evolve import evolve
from ledger.projector.metrics import SNAPSHOTS_MADE, SNAPSHOTS_MISSED
from ledger.store.facts import facts_of
from ledger.store.projected.tracks import connect_for_projecting
from ledger.store.snapshots import (
    PAGE_EVENTS,
    Snapshot,
    load_base,
    load_due,
    load_progress,
    move_progress,
    remove_outdated,
    store_snapshot,
    take_turn,
)

log = structlog.get_logger()

EVERY: Final = 1_000
"""Events of an account: folding them takes some 10 ms, and a snapshot is about as large as one of them."""
POLL_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 5.0


class Snapshots:
    """Several processes may run it: one makes them. Were it two, they would make the same."""

    def __init__(self, database_url: str, *, every: int = EVERY) -> None:
        self._database_url = database_url
        self._every = every
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End after the snapshot that is being made; where it ended is not noted, so its page is looked at again."""
        self._stopping.set()

    async def run(self) -> None:
        """Make them until asked to stop, with a new connection after every failure."""
        while not self._stopping.is_set():
            try:
                await self._make_in_turn()
            except DATABASE_ERRORS as error:
                log.warning("snapshots_interrupted", error=repr(error))
            await self._wait(RETRY_SECONDS)

    async def _make_in_turn(self) -> None:
        connection = await connect_for_projecting(self._database_url, "projector-snapshots")
        try:
            if not await take_turn(connection):
                return
            while not self._stopping.is_set():
                if await self.make_page(connection) < PAGE_EVENTS:
                    while not self._stopping.is_set() and await remove_outdated(connection):
                        pass
                    await self._wait(POLL_SECONDS)
        finally:
            connection.terminate()

    async def make_page(self, connection: asyncpg.Connection) -> int:
        """Make what a page of the log makes due; returns how many events it had."""
        page = await load_due(connection, await load_progress(connection), self._every)
        for account_id, version in page.due:
            if self._stopping.is_set():
                return 0
            await self._make(connection, account_id, version)
        if page.events:
            await move_progress(connection, page.last)
        return page.events

    async def _make(self, connection: asyncpg.Connection, account_id: str, version: int) -> None:
        try:
            made = await self._fold(connection, account_id, version)
        except DATABASE_ERRORS:
            raise
        except Exception as error:  # a log that was tampered with, or is a newer ledger's; whoever reads goes without
            SNAPSHOTS_MISSED.inc()
            log.warning("snapshot_missed", account=account_id, version=version, error=repr(error))
        else:
            SNAPSHOTS_MADE.inc(made)

    async def _fold(self, connection: asyncpg.Connection, account_id: str, version: int) -> int:
        """Fold from the snapshot before it; returns how many were made, those that were missing between included."""
        account = await load_base(connection, account_id, version - 1)
        after, earliest_at = account.version, None
        made: list[Snapshot] = []
        async for fact in facts_of(connection, account_id, after=after, last=version):
            account = evolve(account, fact.data, fact.time)
            earliest_at = fact.time if earliest_at is None else min(earliest_at, fact.time)
            if account.version % self._every == 0:
                made.append(Snapshot(account, after, earliest_at))
                after, earliest_at = account.version, None
        if account.version != version:
            raise LookupError(f"the log of account {account_id} has {account.version} events up to version {version}")
        for snapshot in made:
            await store_snapshot(connection, snapshot)
        return len(made)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
