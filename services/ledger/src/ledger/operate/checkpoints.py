"""The verbs that prove the log: by itself, and against what was signed of it."""

import os
import tempfile
from pathlib import Path
from typing import Annotated, Final

from chassis.operate.database import database_url
from chassis.operate.errors import BadInputError
from chassis.operate.options import MAX_REASON_LENGTH, option, switch, text
from chassis.operate.output import write_line
from contracts.codec import DECODE_ERRORS
from msgspec import Struct, json

from ledger.audit.checkpoints.keys import Keys
from ledger.audit.checkpoints.opening import LATEST, find_document, open_shelf
from ledger.audit.extent import Checkpoint
from ledger.audit.making import Maker
from ledger.audit.verify import Broken, verify_since
from ledger.audit.verify import verify as verify_log
from ledger.operate.database import open_ledger
from ledger.operate.settings import load_settings

NICENESS: Final = 10
"""Of one that nobody waits for: calls come first."""


class Named(Struct, frozen=True):
    """A checkpoint as it was typed: what an earlier verify printed, or else the name of a signed one."""

    printed: Checkpoint | None = None
    name: str = ""


def _signed(typed: str) -> Named:
    if typed != LATEST and not (typed.isascii() and typed.isdecimal()) and not _is_file(typed):
        raise ValueError(f"{LATEST}, the number of a checkpoint, or a file that holds one")
    return Named(name=typed)


def _is_file(typed: str) -> bool:
    try:
        return Path(typed).is_file()
    except (OSError, ValueError):  # too long for a name, or none at all
        return False


def _checkpoint(typed: str) -> Named:
    if not typed.startswith("{"):
        return _signed(typed)
    try:
        return Named(printed=json.decode(typed, type=Checkpoint))
    except DECODE_ERRORS:
        raise ValueError("what an earlier verify printed as its checkpoint, or the name of a signed one") from None


async def verify(
    checkpoint: Annotated[
        Named | None, option("--checkpoint", parse=_checkpoint, help="latest, a number, a file, or its JSON object")
    ] = None,
    since: Annotated[Named | None, option("--since", parse=_signed, help="latest, a number or a file")] = None,
    states: Annotated[
        str | None, option("--states", parse=switch, help="1, with SINCE, compares states with snapshots too")
    ] = None,
) -> int:
    """Checks the whole log and what was made of it, or since a checkpoint; exit 1 and the first bad event if any."""
    if checkpoint is not None and since is not None:
        raise BadInputError("CHECKPOINT compares the whole log, SINCE reads what came after it: give one of them")
    if states is not None and since is None:
        raise BadInputError("STATES: with SINCE alone; without it all states are compared")
    async with open_ledger():  # fails at once, and in one line, where there is no ledger
        pass
    with tempfile.TemporaryDirectory(prefix="solaris-verify-") as folder:
        if since is not None:
            document = find_document(since.name, load_settings(), Path(folder))
            since_result = await verify_since(database_url(), document, states=states is not None)
            write_line(since_result)
            return 1 if isinstance(since_result, Broken) else 0
        printed = checkpoint.printed if checkpoint else None
        signed = None
        if checkpoint is not None and printed is None:
            signed = find_document(checkpoint.name, load_settings(), Path(folder))
        result = await verify_log(database_url(), printed, signed)
    write_line(result)
    return 1 if isinstance(result, Broken) else 0


async def checkpoint(
    due: Annotated[str | None, option("--due", parse=switch, help="1 makes one only where the latest is old")] = None,
    anew: Annotated[
        str | None, option("--anew", parse=text(MAX_REASON_LENGTH), help="why the latest is not to be regarded")
    ] = None,
) -> int:
    """States what the log is, signed, onto the shelf; exit 1 where the log is not what the latest one says."""
    settings = load_settings()
    if due is not None:
        os.nice(NICENESS)
    async with open_ledger():  # fails at once, and in one line, where there is no ledger
        pass
    maker = Maker(settings.database_url, open_shelf(settings), Keys.of(settings), settings.checkpoint_keep_days)
    result = await maker.make(anew=anew, due_seconds=settings.checkpoint_seconds if due is not None else None)
    write_line(result)
    return 1 if isinstance(result, Broken) else 0
