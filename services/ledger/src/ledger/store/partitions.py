"""The parts of the log, each of a range of positions: the next ones are made before events come there."""

from typing import Final

import asyncpg

STATEMENT_TIMEOUT_SECONDS: Final = 10.0

_MAKE_NEXT: Final = "SELECT ledger.make_next_part_of_events()"
_HAS_STRAYED: Final = "SELECT EXISTS (SELECT FROM ledger.events_beyond)"


async def make_next_part(pool: asyncpg.Pool) -> str | None:
    """The name of the part that was made, if one was needed; none is made twice, whoever else asks."""
    made: str | None = await pool.fetchval(_MAKE_NEXT, timeout=STATEMENT_TIMEOUT_SECONDS)
    return made


async def has_gone_beyond(pool: asyncpg.Pool) -> bool:
    """Whether events stand beyond all parts, since none was made in time: they are read like others, and stay there."""
    beyond: bool = await pool.fetchval(_HAS_STRAYED, timeout=STATEMENT_TIMEOUT_SECONDS)
    return beyond
