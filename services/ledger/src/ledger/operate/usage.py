"""The verb that tells what was used."""

import contextlib
import sys
from collections.abc import AsyncIterator
from datetime import date
from enum import StrEnum
from typing import Annotated, Final

import asyncpg
from chassis.operate.errors import BadInputError, RefusedError
from chassis.operate.options import option, text
from chassis.operate.output import write_line
from chassis.operate.spreadsheet import write_rows, write_text
from chassis.operate.table import table_text
from contracts.errors import NotFoundError
from contracts.limits import MAX_TEXT_LENGTH

from ledger.operate.database import open_ledger
from ledger.operate.options import AccountOrAll, day, one_of
from ledger.operate.settings import load_settings
from ledger.store.log import opening_time_of
from ledger.store.projected_tables import is_shown
from ledger.store.tracks import load_lags
from ledger.store.usage_report import REPORT_TIMEOUT_SECONDS, UsageBy, UsageLine, UsageWanted, load_usage
from ledger.store.usage_rows import Figures

MAX_TABLE_ROWS: Final = 10_000
"""A table is laid out when all of it is known; what is longer is written line by line in another format."""
OLD_SECONDS: Final = 5.0
TOTAL: Final = "total"


class Format(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


async def usage(
    *,
    account: AccountOrAll = None,
    model: Annotated[
        str | None, option("--model", parse=text(MAX_TEXT_LENGTH), help="a model, as calls name it")
    ] = None,
    first_day: Annotated[date | None, option("--from", parse=day, help="first day, in SOLARIS_TIMEZONE")] = None,
    last_day: Annotated[date | None, option("--to", parse=day, help="last day, in SOLARIS_TIMEZONE")] = None,
    by: Annotated[
        UsageBy, option("--by", parse=one_of(UsageBy), help="day, week, month, model or person")
    ] = UsageBy.DAY,
    format: Annotated[  # noqa: A002  as it is typed
        Format | None, option("--format", parse=one_of(Format), help="table, csv or json")
    ] = None,
) -> None:
    """Calls, tokens and cost; a table with a total where a person looks, JSON lines where a program does."""
    if first_day is not None and last_day is not None and first_day > last_day:
        raise BadInputError("FROM: not after TO")
    wanted = UsageWanted(
        by=by,
        time_zone=load_settings().time_zone,
        account_id=account,
        model=model,
        first_day=first_day,
        last_day=last_day,
    )
    async with open_ledger(statement_timeout_seconds=REPORT_TIMEOUT_SECONDS) as connection:
        await _look(connection, account)
        async with contextlib.aclosing(load_usage(connection, wanted)) as lines:
            match format or (Format.TABLE if sys.stdout.isatty() else Format.JSON):
                case Format.TABLE:
                    await _write_table(by, lines)
                case Format.CSV:
                    await write_rows((by, *Figures._fields), _rows(by, lines))
                case Format.JSON:
                    async for line in lines:
                        write_line(_record(by, line))


async def _look(connection: asyncpg.Connection, account: str | None) -> None:
    """Tell, beside the figures, when they are old.

    Raises:
        RefusedError: there are none.
        NotFoundError: no such account.
    """
    if account is not None and await opening_time_of(connection, account) is None:
        raise NotFoundError(f"no account {account}")
    if not await is_shown(connection, "usage"):
        raise RefusedError("usage was never built: start the projector (python -m ledger.projector)")
    for lag in await load_lags(connection):
        if lag.name == "usage" and lag.seconds > OLD_SECONDS:
            told = f"the projector is {lag.events} events behind, the first of them {lag.seconds:.0f} s old"
            sys.stderr.write(f"not up to date: {told}\n")


async def _write_table(by: UsageBy, lines: AsyncIterator[UsageLine]) -> None:
    rows: list[tuple[str | int, ...]] = []
    total = Figures()
    async for line in lines:
        if len(rows) == MAX_TABLE_ROWS:
            raise RefusedError(f"more than {MAX_TABLE_ROWS} lines: take FORMAT=csv or FORMAT=json, or FROM= and TO=")
        rows.append((line.of, *line.figures))
        total = _sum(total, line.figures)
    write_text(table_text((by, *Figures._fields), [*rows, (TOTAL, *total)]))


async def _rows(by: UsageBy, lines: AsyncIterator[UsageLine]) -> AsyncIterator[dict[str, object]]:
    total = Figures()
    async for line in lines:
        total = _sum(total, line.figures)
        yield _record(by, line)
    yield _record(by, UsageLine(TOTAL, total))


def _record(by: UsageBy, line: UsageLine) -> dict[str, object]:
    return {by.value: line.of, **line.figures._asdict()}


def _sum(first: Figures, second: Figures) -> Figures:
    return Figures(*(a + b for a, b in zip(first, second, strict=True)))
