"""The verb that rebuilds from the log."""

from typing import Annotated

from chassis.operate.database import database_url
from chassis.operate.errors import RefusedError
from chassis.operate.options import option
from chassis.operate.output import write_line
from chassis.operate.progress import Progress
from msgspec.structs import asdict

from ledger.audit.differences import Projection
from ledger.audit.replay import Replayed
from ledger.audit.replay import replay as replay_log
from ledger.operate.database import open_ledger
from ledger.projections.catalog import BY_NAME
from ledger.projections.replay import ReplayedProjection, replay_projection


def _projection(typed: str) -> str:
    known = [*Projection, *BY_NAME]
    if typed not in known:
        raise ValueError(f"one of {', '.join(known)}")
    return typed


class ReplayedAll(Replayed, frozen=True, kw_only=True):
    """Accounts and holds, and all projections that are read; `difference_count` is of all of them."""

    projections: list[ReplayedProjection]


async def replay(
    projection: Annotated[
        str, option("--projection", parse=_projection, help="accounts, holds, all, or the name of a projection")
    ] = Projection.ALL,
) -> int:
    """Rebuilds from the events what is made of them, compares, puts right what differs; exit 1 on any difference."""
    await _look()
    result: ReplayedAll | Replayed | ReplayedProjection
    if projection in BY_NAME:
        replayed = await _replay_projection(projection)
        if replayed is None:
            raise RefusedError(f"{projection} was never built: start the projector (python -m ledger.projector)")
        result = replayed
    else:
        result = (
            await _replay_all()
            if projection == Projection.ALL
            else await replay_log(database_url(), Projection(projection))
        )
    write_line(result)
    return 1 if result.difference_count else 0


async def _replay_all() -> ReplayedAll:
    projections = [found for name in BY_NAME if (found := await _replay_projection(name)) is not None]
    result = await replay_log(database_url(), Projection.ALL)
    different = sum(found.difference_count for found in projections)
    known = asdict(result) | {"difference_count": result.difference_count + different}
    return ReplayedAll(**known, projections=projections)


async def _replay_projection(name: str) -> ReplayedProjection | None:
    with Progress(f"replay of {name}", "events") as progress:
        return await replay_projection(database_url(), BY_NAME[name], progress.tell)


async def _look() -> None:
    """Fail at once, and in one line, where what opens connections of its own would try again for long."""
    async with open_ledger():
        pass
