"""The verbs over the whole log."""

import tempfile
from pathlib import Path
from typing import Annotated

from chassis.operate.database import database_url
from chassis.operate.errors import BadInputError, RefusedError
from chassis.operate.options import option
from chassis.operate.output import write_line
from chassis.operate.progress import Progress
from contracts.codec import DECODE_ERRORS
from msgspec import Struct, json
from msgspec.structs import asdict

from ledger.audit.checkpoints.opening import LATEST, find_document
from ledger.audit.differences import Projection
from ledger.audit.extent import Checkpoint
from ledger.audit.replay import Replayed
from ledger.audit.replay import replay as replay_log
from ledger.audit.verify import Broken, verify_since
from ledger.audit.verify import verify as verify_log
from ledger.operate.database import open_ledger
from ledger.operate.settings import load_settings
from ledger.projections.catalog import BY_NAME
from ledger.projections.replay import ReplayedProjection, replay_projection


class Named(Struct, frozen=True):
    """A checkpoint as it was typed: what an earlier verify printed, or else the name of a signed one."""

    printed: Checkpoint | None = None
    name: str = ""


def _signed(typed: str) -> Named:
    if typed != LATEST and not (typed.isascii() and typed.isdecimal()) and not Path(typed).is_file():
        raise ValueError(f"{LATEST}, the number of a checkpoint, or a file that holds one")
    return Named(name=typed)


def _checkpoint(typed: str) -> Named:
    if not typed.startswith("{"):
        return _signed(typed)
    try:
        return Named(printed=json.decode(typed, type=Checkpoint))
    except DECODE_ERRORS:
        raise ValueError("what an earlier verify printed as its checkpoint, or the name of a signed one") from None


def _projection(typed: str) -> str:
    known = [*Projection, *BY_NAME]
    if typed not in known:
        raise ValueError(f"one of {', '.join(known)}")
    return typed


class ReplayedAll(Replayed, frozen=True, kw_only=True):
    """Accounts and holds, and all projections that are read; `difference_count` is of all of them."""

    projections: list[ReplayedProjection]


async def verify(
    checkpoint: Annotated[
        Named | None, option("--checkpoint", parse=_checkpoint, help="latest, a number, a file, or its JSON object")
    ] = None,
    since: Annotated[Named | None, option("--since", parse=_signed, help="latest, a number or a file")] = None,
) -> int:
    """Checks the whole log and what was made of it, or since a checkpoint; exit 1 and the first bad event if any."""
    if checkpoint is not None and since is not None:
        raise BadInputError("CHECKPOINT compares the whole log, SINCE reads what came after it: give one of them")
    await _look()
    with tempfile.TemporaryDirectory(prefix="solaris-verify-") as folder:
        if since is not None:
            since_result = await verify_since(database_url(), find_document(since.name, load_settings(), Path(folder)))
            write_line(since_result)
            return 1 if isinstance(since_result, Broken) else 0
        printed = checkpoint.printed if checkpoint else None
        signed = None
        if checkpoint is not None and printed is None:
            signed = find_document(checkpoint.name, load_settings(), Path(folder))
        result = await verify_log(database_url(), printed, signed)
    write_line(result)
    return 1 if isinstance(result, Broken) else 0


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
        result = await replay_log(database_url(), Projection(projection))
        if projection == Projection.ALL:
            result = await _with_projections(result)
    write_line(result)
    return 1 if result.difference_count else 0


async def _with_projections(result: Replayed) -> ReplayedAll:
    projections = [found for name in BY_NAME if (found := await _replay_projection(name)) is not None]
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
