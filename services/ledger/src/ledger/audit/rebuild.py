"""Folds one account anew from its events, all checks included, in memory that does not grow with its history."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, cast

import asyncpg

from ledger.audit.comparison import hold_difference
from ledger.audit.differences import Difference, Projection
from ledger.audit.folding import Folded, is_kept
from ledger.audit.problems import Problems
from ledger.audit.walk import Walk
from ledger.domain.holds import Hold
from ledger.store.log import StoredRow, rows_of_account
from ledger.store.projections import hold_ids_of_account, load_holds
from ledger.store.retention import holds_kept_since

HOLDS_AT_ONCE: Final = 500


class Rebuild:
    """An account in the making: call `final_holds` to fold what there is, and again for what came since."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.problems = Problems()
        self.folded = Folded(account_id, self._keep)
        self._walk = Walk(self.problems)
        self._walk.accounts[account_id] = self.folded
        self._final: list[Hold] = []
        # Hashes stand for the ids: one account's ids as text could be gigabytes, and a collision only hides a row that
        # is there without an event.
        self._seen: set[int] = set()

    @property
    def fault(self) -> str | None:
        """Why the log is not to be believed, None if it is."""
        if self.folded.sound:
            return None
        first = self.problems.first()[0]
        return f"the log is broken at position {first.position}, version {first.version}: {first.reason}"

    def difference(
        self, reason: str, projection: Projection, *, repaired: bool = False, reservation_id: str | None = None
    ) -> Difference:
        """From what the events say up to the last one folded."""
        return Difference(projection, self.account_id, self.folded.version, reason, repaired, reservation_id)

    async def final_holds(self, connection: asyncpg.Connection) -> AsyncIterator[list[Hold]]:
        """Fold the events after those folded already; gives each hold that ended, in chunks.

        No later event changes such a hold, and the chain is sound up to its last event.
        """
        async for rows in rows_of_account(connection, self.account_id, self.folded.version):
            self._walk.check(cast(Sequence[StoredRow], rows))  # records of the same fields
            while len(self._final) >= HOLDS_AT_ONCE:
                yield self._taken()
        while self._final:
            yield self._taken()

    async def surplus_holds(self, connection: asyncpg.Connection) -> AsyncIterator[str]:
        """Reservation ids that stand in the table, but in no event."""
        unfinished = self.folded.unfinished
        async for reservation_id in hold_ids_of_account(connection, self.account_id):
            if hash(reservation_id) not in self._seen and reservation_id not in unfinished:
                yield reservation_id

    def _keep(self, hold: Hold) -> None:
        self._final.append(hold)
        self._seen.add(hash(hold.reservation_id))

    def _taken(self) -> list[Hold]:
        taken, self._final = self._final[:HOLDS_AT_ONCE], self._final[HOLDS_AT_ONCE:]
        return taken


async def differing_holds(
    connection: asyncpg.Connection, account_id: str, holds: Sequence[Hold]
) -> list[tuple[Hold, str]]:
    """Those of an account's folded holds whose rows are not the same, with what distinguishes them.

    A row that has left by its age is not missed.
    """
    rows = await load_holds(connection, account_id, [hold.reservation_id for hold in holds])
    if len(rows) < len(holds):
        since = await holds_kept_since(connection)  # after the rows: what has left till then is told by then
        holds = [hold for hold in holds if hold.reservation_id in rows or is_kept(hold, since)]
    reasons = ((hold, hold_difference(hold, rows.get(hold.reservation_id))) for hold in holds)
    return [(hold, reason) for hold, reason in reasons if reason is not None]
