"""The verb that makes a checkpoint of the log."""

import os
from typing import Annotated, Final

from chassis.operate.options import MAX_REASON_LENGTH, option, switch, text
from chassis.operate.output import write_line

from ledger.audit.checkpoints.keys import Keys
from ledger.audit.checkpoints.opening import open_shelf
from ledger.audit.making import Maker
from ledger.audit.verify import Broken
from ledger.operate.database import open_ledger
from ledger.operate.settings import load_settings

NICENESS: Final = 10
"""Of one that nobody waits for: calls come first."""


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
