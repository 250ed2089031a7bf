"""Rebuilds accounts and holds from the events beside the live rows, compares, and repairs what differs."""

import time
from collections.abc import Sequence
from enum import StrEnum
from itertools import batched
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.domain.holds import Hold
from ledger.operate.comparison import account_difference, is_tail_missing
from ledger.operate.partition import Suspect
from ledger.operate.rebuild import HOLDS_AT_ONCE, Rebuild, differing_holds
from ledger.operate.snapshot import open_snapshot
from ledger.store.log import connect
from ledger.store.projections import AccountRow, lock_account, repair_account, repair_holds

MAX_DIFFERENCES: Final = 100


class Projection(StrEnum):
    """What the events are folded into."""

    ACCOUNTS = "accounts"
    HOLDS = "holds"
    ALL = "all"

    @property
    def has_accounts(self) -> bool:
        return self is not Projection.HOLDS

    @property
    def has_holds(self) -> bool:
        return self is not Projection.ACCOUNTS


class Difference(Struct, frozen=True, omit_defaults=True):
    """A live row that was not what the events say; `version` is the account's, up to which they were folded."""

    projection: Projection
    account_id: str
    version: int
    reason: str
    repaired: bool
    reservation_id: str | None = None


class Replayed(Struct, frozen=True):
    """`differences` are the first `MAX_DIFFERENCES` of `difference_count`, `repaired` of which were put right."""

    projection: Projection
    events: int
    accounts: int
    seconds: float
    events_per_second: int
    difference_count: int
    repaired: int
    differences: list[Difference]


async def replay(database_url: str, projection: Projection) -> Replayed:
    """Fold the whole log in one snapshot; look at each account that differs again, under its lock, before repairing it.

    Traffic goes on meanwhile. Nothing is rebuilt from a chain that does not verify, and no state is taken back to a log
    that lost its end; rows that stand in no event are reported and left.
    """
    started = time.perf_counter()
    async with open_snapshot(database_url) as snapshot:
        survey = await snapshot.survey(checked=False, accounts=projection.has_accounts, holds=projection.has_holds)
    run = _Repairs(projection)
    if survey.suspects:
        await run.repair(database_url, survey.suspects)
    seconds = time.perf_counter() - started
    return Replayed(
        projection=projection,
        events=survey.whole.events,
        accounts=survey.accounts,
        seconds=round(seconds, 3),
        events_per_second=int(survey.whole.events / seconds),
        difference_count=run.count,
        repaired=run.repaired,
        differences=run.differences,
    )


class _Repairs:
    def __init__(self, projection: Projection) -> None:
        self.differences: list[Difference] = []
        self.count = 0
        self.repaired = 0
        self._projection = projection

    async def repair(self, database_url: str, suspects: Sequence[Suspect]) -> None:
        reader = await connect(database_url)
        writer = await connect(database_url)
        try:
            for suspect in suspects:
                await self._repair_account(reader, writer, suspect)
        finally:
            reader.terminate()
            writer.terminate()

    async def _repair_account(self, reader: asyncpg.Connection, writer: asyncpg.Connection, suspect: Suspect) -> None:
        rebuild = Rebuild(suspect.account_id)
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            async for holds in rebuild.final_holds(reader):
                if suspect.holds:
                    await self._repair_final_holds(reader, writer, rebuild, holds)
        if rebuild.is_empty:
            if suspect.account is not None:
                self._found(rebuild, suspect.account, Projection.ACCOUNTS, repaired=False)
            await self._report_surplus_holds(reader, rebuild)
        elif rebuild.fault is None:
            async with writer.transaction():
                await self._repair_locked(writer, rebuild, suspect)
        if rebuild.fault is not None:
            self._found(rebuild, rebuild.fault, self._projection, repaired=False)

    async def _repair_final_holds(
        self, reader: asyncpg.Connection, writer: asyncpg.Connection, rebuild: Rebuild, holds: Sequence[Hold]
    ) -> None:
        """Holds that have ended: whatever traffic does, their records stay these, so a short lock is enough."""
        if not await differing_holds(reader, rebuild.account_id, holds):
            return
        async with writer.transaction():
            await lock_account(writer, rebuild.account_id)
            await self._repair_holds(writer, rebuild, holds)

    async def _repair_locked(self, writer: asyncpg.Connection, rebuild: Rebuild, suspect: Suspect) -> None:
        """Fold what came since the look without a lock, then compare the row and the holds that were still open."""
        row = await lock_account(writer, rebuild.account_id)
        ended = [hold async for holds in rebuild.final_holds(writer) for hold in holds]
        if rebuild.fault is not None:
            return
        folded = rebuild.folded
        if is_tail_missing(folded, row):
            reason = f"events after version {folded.version} are missing"
            self._found(rebuild, reason, self._projection, repaired=False)
            return
        if self._projection.has_accounts:
            await self._repair_state(writer, rebuild, row)
        if suspect.holds:
            for holds in batched([*ended, *folded.unfinished.values()], HOLDS_AT_ONCE):
                await self._repair_holds(writer, rebuild, holds)
            await self._report_surplus_holds(writer, rebuild)

    async def _repair_state(self, writer: asyncpg.Connection, rebuild: Rebuild, row: AccountRow) -> None:
        folded = rebuild.folded
        difference = account_difference(folded, row)
        if difference is None:
            return
        await repair_account(writer, folded.account, folded.head)
        self._found(rebuild, difference, Projection.ACCOUNTS, repaired=True)

    async def _repair_holds(self, writer: asyncpg.Connection, rebuild: Rebuild, holds: Sequence[Hold]) -> None:
        differing = await differing_holds(writer, rebuild.account_id, holds)
        if not differing:
            return
        await repair_holds(writer, rebuild.account_id, [hold for hold, _ in differing])
        for hold, reason in differing:
            self._found(rebuild, reason, Projection.HOLDS, repaired=True, reservation_id=hold.reservation_id)

    async def _report_surplus_holds(self, connection: asyncpg.Connection, rebuild: Rebuild) -> None:
        if not self._projection.has_holds:
            return
        async with connection.transaction():
            async for reservation_id in rebuild.surplus_holds(connection):
                self._found(
                    rebuild,
                    "the hold stands in no event",
                    Projection.HOLDS,
                    repaired=False,
                    reservation_id=reservation_id,
                )

    def _found(
        self,
        rebuild: Rebuild,
        reason: str,
        projection: Projection,
        *,
        repaired: bool,
        reservation_id: str | None = None,
    ) -> None:
        self.count += 1
        self.repaired += repaired
        if len(self.differences) < MAX_DIFFERENCES:
            self.differences.append(
                Difference(projection, rebuild.account_id, rebuild.folded.version, reason, repaired, reservation_id)
            )
