"""The verbs over the whole log."""

from typing import Annotated

from chassis.operate.database import database_url
from chassis.operate.options import option
from chassis.operate.output import write_line
from contracts.codec import DECODE_ERRORS
from msgspec import json

from ledger.audit.differences import Projection
from ledger.audit.extent import Checkpoint
from ledger.audit.replay import replay as replay_log
from ledger.audit.verify import Verified
from ledger.audit.verify import verify as verify_log
from ledger.operate.database import open_ledger


def _checkpoint(typed: str) -> Checkpoint:
    try:
        return json.decode(typed, type=Checkpoint)
    except DECODE_ERRORS:
        raise ValueError("the checkpoint object that an earlier verify printed") from None


def _projection(typed: str) -> Projection:
    if typed not in list(Projection):
        raise ValueError(f"one of {', '.join(Projection)}")
    return Projection(typed)


async def verify(
    checkpoint: Annotated[
        Checkpoint | None, option("--checkpoint", parse=_checkpoint, help="what an earlier verify printed")
    ] = None,
) -> int:
    """Checks the whole log and what was made of it; exit 1 and the first bad event if anything is wrong."""
    await _look()
    result = await verify_log(database_url(), checkpoint)
    write_line(result)
    return 0 if isinstance(result, Verified) else 1


async def replay(
    projection: Annotated[
        Projection, option("--projection", parse=_projection, help="accounts, holds or all")
    ] = Projection.ALL,
) -> int:
    """Rebuilds accounts and holds from the events, compares, repairs; exit 1 on any difference."""
    await _look()
    result = await replay_log(database_url(), projection)
    write_line(result)
    return 1 if result.difference_count else 0


async def _look() -> None:
    """Fail at once, and in one line, where what opens connections of its own would try again for long."""
    async with open_ledger():
        pass
