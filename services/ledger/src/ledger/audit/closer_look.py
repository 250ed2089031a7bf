"""Names the holds of an account that are not what its events say, one by one."""

from collections.abc import Sequence
from itertools import batched

import asyncpg

from ledger.audit.problems import Problem, Problems
from ledger.audit.rebuild import HOLDS_AT_ONCE, Rebuild, differing_holds
from ledger.domain.holds import Hold


async def look_closer(connection: asyncpg.Connection, account_id: str, problems: Problems) -> None:
    """The account's holds one by one: their sums differ, though perhaps in the encoding alone."""
    rebuild = Rebuild(account_id)
    folded = rebuild.folded

    async def compare(holds: Sequence[Hold]) -> None:
        for hold, reason in await differing_holds(connection, account_id, holds):
            found(hold.reservation_id, reason)

    def found(reservation_id: str, reason: str) -> None:
        problems.add(Problem(folded.position, account_id, folded.version, f"reservation {reservation_id}: {reason}"))

    # A hold that has ended stays as it is; only what is still open has to be read together with its rows.
    async for holds in rebuild.final_holds(connection):
        await compare(holds)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for holds in rebuild.final_holds(connection):
            await compare(holds)
        for unfinished in batched(folded.unfinished.values(), HOLDS_AT_ONCE):
            await compare(unfinished)
        async for reservation_id in rebuild.surplus_holds(connection):
            found(reservation_id, "the hold stands in no event")
