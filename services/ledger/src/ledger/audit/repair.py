"""Puts an account's row and holds right by its events, while traffic on it goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import batched
from typing import Final

import asyncpg

from ledger.audit.comparison import account_difference, is_tail_missing, lots_difference
from ledger.audit.differences import Difference, Differences, Projection
from ledger.audit.rebuild import HOLDS_AT_ONCE, Rebuild, differing_holds
from ledger.domain.holds import Hold
from ledger.store.projections import (
    AccountRow,
    connect_for_repair,
    load_account_row,
    load_lot_records,
    lock_account,
    repair_account,
    repair_holds,
    repair_lots,
)

ATTEMPTS: Final = 5
PAUSE_SECONDS: Final = 0.3
# As `chassis.postgres` has them, but that brings SQLAlchemy along: 20 MB in each process of a walk.
_DATABASE_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_NOT_DONE: Final = "not repaired, for others held the account: run it again"


class Repairs:
    """Repairs one account after the other; what it finds is added to `differences`.

    Nothing is rebuilt from a chain that does not verify, and no state is taken back to a log that lost its end; rows
    that stand in no event are reported and left. An account is folded, and compared, without any lock; only what
    differs is looked at again under the lock of its row, which the server ends after a second whatever happens here.
    """

    def __init__(
        self, reader: asyncpg.Connection, database_url: str, projection: Projection, differences: Differences
    ) -> None:
        self._reader = reader
        self._database_url = database_url
        self._projection = projection
        self._differences = differences
        self._writer: asyncpg.Connection | None = None

    def close(self) -> None:
        if self._writer is not None:
            self._writer.terminate()
            self._writer = None

    async def repair(self, account_id: str, *, account: bool, holds: bool) -> None:
        """Look at the account again; `account` and `holds` say what seemed to differ."""
        rebuild = Rebuild(account_id)
        async for ended in rebuild.final_holds(self._reader):
            if holds:
                await self._repair_final_holds(rebuild, ended)
        async with self._reader.transaction(isolation="repeatable_read", readonly=True):
            doubtful = await self._doubtful_holds(rebuild) if holds else {}
        if rebuild.fault is None and (account or doubtful):
            await self._persist(rebuild, lambda: self._repair_under_lock(rebuild, doubtful))
        if rebuild.fault is not None:
            self._differences.add(rebuild.difference(rebuild.fault, self._projection))

    async def _doubtful_holds(self, rebuild: Rebuild) -> dict[str, Hold]:
        """What may still change, and seems to differ, in a snapshot of events and rows."""
        doubtful: dict[str, Hold] = {}
        async for ended in rebuild.final_holds(self._reader):
            doubtful |= await self._differing(rebuild, ended)
        row = await load_account_row(self._reader, rebuild.account_id)
        if rebuild.fault is not None:
            return {}
        if is_tail_missing(rebuild.folded, row):
            if not self._projection.has_accounts:
                self._differences.add(rebuild.difference(_lost_end(rebuild), self._projection))
            return {}
        for unfinished in batched(rebuild.folded.unfinished.values(), HOLDS_AT_ONCE):
            doubtful |= await self._differing(rebuild, unfinished)
        async for reservation_id in rebuild.surplus_holds(self._reader):
            surplus = "the hold stands in no event"
            self._differences.add(rebuild.difference(surplus, Projection.HOLDS, reservation_id=reservation_id))
        return doubtful

    async def _differing(self, rebuild: Rebuild, holds: Sequence[Hold]) -> dict[str, Hold]:
        differing = await differing_holds(self._reader, rebuild.account_id, holds)
        return {hold.reservation_id: hold for hold, _ in differing}

    async def _repair_final_holds(self, rebuild: Rebuild, holds: Sequence[Hold]) -> None:
        """Holds that have ended: whatever traffic does, their records stay these, so it needs no lock."""
        differing = await differing_holds(self._reader, rebuild.account_id, holds)
        if not differing:
            return

        async def attempt() -> list[Difference]:
            return await _write_holds(await self._connect(), rebuild, differing)

        await self._persist(rebuild, attempt)

    async def _persist(self, rebuild: Rebuild, attempt: Callable[[], Awaitable[list[Difference]]]) -> None:
        """Try again while others are in the way, or a slow moment ended the transaction."""
        for number in range(1, ATTEMPTS + 1):
            try:
                found = await attempt()
            except _DATABASE_ERRORS as error:
                if not _is_transient(error):
                    raise
                self.close()
                await asyncio.sleep(number * PAUSE_SECONDS)
            else:
                for difference in found:
                    self._differences.add(difference)
                return
        self._differences.add(rebuild.difference(_NOT_DONE, self._projection))

    async def _repair_under_lock(self, rebuild: Rebuild, doubtful: dict[str, Hold]) -> list[Difference]:
        """Fold what came since the look without a lock, then compare and repair, all in one short transaction."""
        writer = await self._connect()
        found: list[Difference] = []
        async with writer.transaction():
            row = await lock_account(writer, rebuild.account_id)
            async for ended in rebuild.final_holds(writer):
                doubtful |= {hold.reservation_id: hold for hold in ended if hold.reservation_id in doubtful}
            if rebuild.fault is not None:
                return []
            if is_tail_missing(rebuild.folded, row):
                return [rebuild.difference(_lost_end(rebuild), self._projection)]
            if self._projection.has_accounts:
                found += await self._repair_account(writer, rebuild, row)
            unfinished = rebuild.folded.unfinished
            holds = [unfinished.get(reservation_id, hold) for reservation_id, hold in doubtful.items()]
            for batch in batched(holds, HOLDS_AT_ONCE):
                found += await _write_holds(writer, rebuild, await differing_holds(writer, rebuild.account_id, batch))
        return found

    async def _repair_account(self, writer: asyncpg.Connection, rebuild: Rebuild, row: AccountRow) -> list[Difference]:
        found: list[Difference] = []
        if (difference := account_difference(rebuild.folded, row)) is not None:
            await repair_account(writer, rebuild.folded.account, rebuild.folded.head)
            found.append(rebuild.difference(difference, Projection.ACCOUNTS, repaired=True))
        lots = rebuild.folded.lots
        records = await load_lot_records(writer, rebuild.account_id)
        if (difference := lots_difference(lots, records)) is not None:
            await repair_lots(writer, rebuild.account_id, list(lots.values()))
            is_surplus = lots_difference(lots, {each: records[each] for each in records if each in lots}) is None
            found.append(rebuild.difference(difference, Projection.ACCOUNTS, repaired=not is_surplus))
        return found

    async def _connect(self) -> asyncpg.Connection:
        if self._writer is None or self._writer.is_closed():
            self._writer = await connect_for_repair(self._database_url)
        return self._writer


async def _write_holds(
    writer: asyncpg.Connection, rebuild: Rebuild, differing: Sequence[tuple[Hold, str]]
) -> list[Difference]:
    if differing:
        await repair_holds(writer, rebuild.account_id, [hold for hold, _ in differing])
    return [
        rebuild.difference(reason, Projection.HOLDS, repaired=True, reservation_id=hold.reservation_id)
        for hold, reason in differing
    ]


def _lost_end(rebuild: Rebuild) -> str:
    return f"events after version {rebuild.folded.version} are missing"


def _is_transient(error: BaseException) -> bool:
    """Locks and lost connections pass; a refusal of the rows themselves does not."""
    return not isinstance(error, asyncpg.PostgresError) or (error.sqlstate or "")[:2] in {"08", "25", "40", "55", "57"}
