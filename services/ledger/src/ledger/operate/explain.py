"""The verb that tells how a call came to its tokens."""

import contextlib
import sys
from enum import StrEnum
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from chassis.operate.options import option, text
from chassis.operate.output import write_line
from chassis.operate.spreadsheet import write_text
from contracts.limits import MAX_TEXT_LENGTH
from msgspec import json, to_builtins

from ledger.application import explaining
from ledger.application.explaining import Explained
from ledger.operate.database import open_ledger
from ledger.operate.explain_text import explained_text
from ledger.operate.options import AccountOrAll, one_of
from ledger.operate.reports import look
from ledger.operate.settings import load_settings
from ledger.store.requests.people import MAX_NAMED

_ID: Final = option("--id", parse=text(MAX_TEXT_LENGTH), help="a call's id, its conversation's, or the client's own")


class Format(StrEnum):
    """A table has no place for what is explained."""

    TEXT = "text"
    JSON = "json"


async def explain(
    *,
    any_id: Annotated[str, _ID],
    account: AccountOrAll = None,
    format: Annotated[Format | None, option("--format", parse=one_of(Format), help="text or json")] = None,  # noqa: A002  as it is typed
) -> None:
    """What was held for a call, by which rates, what it used, and where that was taken; corrections too."""
    zone, told = ZoneInfo(load_settings().time_zone), 0
    is_text = (format or (Format.TEXT if sys.stdout.isatty() else Format.JSON)) is Format.TEXT
    async with open_ledger() as connection:
        await look(connection, "statement", account)
        async with contextlib.aclosing(explaining.explain(connection, any_id, account)) as calls:
            async for each in calls:
                if is_text:
                    write_text(("\n" if told else "") + explained_text(each, zone))
                else:
                    write_line(_record(each))
                told += 1
    if told == MAX_NAMED:
        sys.stderr.write(f"there are more: only the first {MAX_NAMED:,} are told\n")


def _record(explained: Explained) -> Any:  # Any: JSON
    """With what each lot gained as an object."""
    record = to_builtins(explained)
    for step in record["steps"]:
        step["movement"]["lots"] = json.decode(step["movement"]["lots"] or "null")
    return record
