"""Whether, and how soon after a run, everything that it reserved is settled and published."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

TIMEOUT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.025
_OPEN_HOLDS: Final = "SELECT count(*) FROM ledger.holds WHERE state = 'open'"
_LAST_POSITION: Final = "SELECT coalesce(max(position), 0) FROM ledger.events"
_RELAYED: Final = "SELECT coalesce(max(position), 0) FROM ledger.relay"
_COUNTS: Final = """
    SELECT count(*) FILTER (WHERE type = 'solaris.ledger.tokens_reserved.v1') AS reserved,
           count(*) FILTER (WHERE type = 'solaris.ledger.usage_settled.v1') AS settled,
           count(*) FILTER (WHERE type = 'solaris.ledger.reservation_released.v1') AS released,
           count(*) FILTER (WHERE type = 'solaris.ledger.reservation_expired.v1') AS expired
    FROM ledger.events WHERE position > $1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """`complete`: no hold is open and each reservation has its one end. Seconds count from the end of the load."""

    complete: bool
    settled_seconds: float
    relayed_seconds: float
    reserved: int
    settled: int
    released: int
    expired: int


class SettlementWatch:
    """Reads the ledger's own tables, with the owner's rights."""

    def __init__(self, connection: "asyncpg.Connection[Any]") -> None:
        self._connection = connection

    async def position(self) -> int:
        return int(await self._connection.fetchval(_LAST_POSITION))

    async def wait(self, after_position: int, answered: int) -> Settlement:
        """Wait until what was stored after a position is settled and relayed; `answered` calls were at least made."""
        started = time.monotonic()
        settled_at = relayed_at = None
        while True:
            elapsed = time.monotonic() - started
            if settled_at is None and await self._is_settled(after_position, answered):
                settled_at = elapsed
            if settled_at is not None and await self._is_relayed():
                relayed_at = elapsed
            if relayed_at is not None or elapsed > TIMEOUT_SECONDS:
                break
            await asyncio.sleep(_POLL_SECONDS)
        counts = await self._connection.fetchrow(_COUNTS, after_position)
        assert counts is not None
        return Settlement(
            complete=settled_at is not None,
            settled_seconds=TIMEOUT_SECONDS if settled_at is None else settled_at,
            relayed_seconds=TIMEOUT_SECONDS if relayed_at is None else relayed_at,
            **counts,
        )

    async def _is_settled(self, after_position: int, answered: int) -> bool:
        if await self._connection.fetchval(_OPEN_HOLDS):
            return False
        counts = await self._connection.fetchrow(_COUNTS, after_position)
        assert counts is not None
        ended: int = counts["settled"] + counts["released"] + counts["expired"]
        reserved: int = counts["reserved"]
        return reserved >= answered and ended == reserved

    async def _is_relayed(self) -> bool:
        relayed: int = await self._connection.fetchval(_RELAYED)
        return relayed >= await self.position()
