"""The verb that rebuilds from the log."""

from typing import Annotated

import asyncpg
from chassis.operate.database import database_url
from chassis.operate.errors import RefusedError
from chassis.operate.options import option
from chassis.operate.output import write_line
from chassis.operate.progress import Progress
from contracts.errors import SolarisError
from msgspec.structs import asdict

from ledger.audit.differences import Projection
from ledger.audit.replay import Replayed
from ledger.audit.replay import replay as replay_log
from ledger.operate.database import open_ledger
from ledger.projections.catalog import BY_NAME, BY_VIEW
from ledger.projections.replay import ReplayedProjection, replay_projection


def _projection(typed: str) -> str:
    known = [*Projection, *BY_VIEW]
    if typed not in known:
        raise ValueError(f"one of {', '.join(known)}")
    return typed


class ReplayedAll(Replayed, frozen=True, kw_only=True):
    """Accounts and holds, and all projections; `difference_count` is of all of them. `failed` were left as they are."""

    projections: list[ReplayedProjection]
    failed: dict[str, str]


async def replay(
    projection: Annotated[
        str, option("--projection", parse=_projection, help="accounts, holds, all, or the name of a projection")
    ] = Projection.ALL,
) -> int:
    """Rebuilds from the events what is made of them, compares, puts right what differs; exit 1 on any difference."""
    await _look()
    if projection in BY_VIEW:
        replayed = await _replay_projection(BY_VIEW[projection].name)
        write_line(replayed)
        return 1 if replayed.difference_count else 0
    result = await replay_log(database_url(), Projection(projection))
    if projection == Projection.ALL:
        result = await _with_projections(result)
    write_line(result)
    return 1 if result.difference_count or (isinstance(result, ReplayedAll) and result.failed) else 0


async def _with_projections(result: Replayed) -> ReplayedAll:
    projections: list[ReplayedProjection] = []
    failed: dict[str, str] = {}
    for name in BY_NAME:
        # What was found before is told all the same.
        try:
            projections.append(await _replay_projection(name))
        except (SolarisError, RefusedError, asyncpg.PostgresError) as error:
            failed[name] = str(error)
    different = sum(found.difference_count for found in projections)
    known = asdict(result) | {"difference_count": result.difference_count + different}
    return ReplayedAll(**known, projections=projections, failed=failed)


async def _replay_projection(name: str) -> ReplayedProjection:
    """As `replay_projection`; what can't be decoded is a refusal."""
    with Progress(f"replay of {name}", "events") as progress:
        async with open_ledger():
            return await replay_projection(database_url(), BY_NAME[name], progress.tell)


async def _look() -> None:
    """Fail at once, and in one line, where what opens connections of its own would try again for long."""
    async with open_ledger():
        pass
