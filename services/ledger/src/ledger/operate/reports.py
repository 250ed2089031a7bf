"""How reports of projections are printed: a table with the total where a person looks, lines where a program does."""

import sys
from collections.abc import AsyncIterator, Collection, Sequence
from enum import StrEnum
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import asyncpg
from chassis.operate.errors import RefusedError
from chassis.operate.options import option
from chassis.operate.output import write_line
from chassis.operate.spreadsheet import write_rows, write_text
from contracts.errors import NotFoundError
from msgspec import Struct

from ledger.operate.options import one_of
from ledger.operate.seen import Value, seen_table
from ledger.operate.settings import load_settings
from ledger.store.log import opening_time_of
from ledger.store.projected.tables import is_shown
from ledger.store.projected.tracks import load_lags

MAX_TABLE_ROWS: Final = 10_000
"""A table is laid out when all of it is known; what is longer is written line by line in another format."""
OLD_SECONDS: Final = 5.0
TOTAL: Final = "total"

type Row = Sequence[Value]


class Format(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


FormatOrFitting = Annotated[Format | None, option("--format", parse=one_of(Format), help="table, csv or json")]


class Report(Struct, frozen=True):
    """Rows of `columns`; those that are `summed`, if any, have a total, in a row whose first column says so.

    `narrower` are the options that make it shorter, as they are typed. What is `rare` a table leaves out where it is 0
    in every row, since terminals are narrow.
    """

    columns: Sequence[str]
    summed: Collection[str]
    narrower: str
    rare: Collection[str] = ()


async def look(
    connection: asyncpg.Connection, name: str, account: str | None = None, *, view: str | None = None
) -> None:
    """Tell, beside the figures of a projection, when they are old; `view` is the one that is read, if not its first.

    Raises:
        RefusedError: there are none.
        NotFoundError: no such account.
    """
    if account is not None and await opening_time_of(connection, account) is None:
        raise NotFoundError(f"no account {account}")
    if not await is_shown(connection, view or name):
        raise RefusedError(f"{name} was never built: start the projector (python -m ledger.projector)")
    for lag in await load_lags(connection):
        if lag.name == name and lag.seconds > OLD_SECONDS:
            told = f"the projector is {lag.events} events behind, the first of them {lag.seconds:.0f} s old"
            sys.stderr.write(f"not up to date: {told}\n")


async def write_report(format: Format | None, report: Report, rows: AsyncIterator[Row]) -> None:  # noqa: A002  as it is typed
    """To standard output; a program that reads lines adds them up itself.

    Raises:
        RefusedError: too much for a table.
    """
    columns = report.columns
    match format or (Format.TABLE if sys.stdout.isatty() else Format.JSON):
        case Format.TABLE:
            await _write_table(report, rows)
        case Format.CSV:
            await write_rows(columns, _records(columns, _with_total(report, rows)))
        case Format.JSON:
            async for record in _records(columns, rows):
                write_line(record)


async def _write_table(report: Report, rows: AsyncIterator[Row]) -> None:
    laid_out: list[Row] = []
    async for row in _with_total(report, rows):
        if len(laid_out) > MAX_TABLE_ROWS:
            raise RefusedError(
                f"more than {MAX_TABLE_ROWS} lines: take FORMAT=csv or FORMAT=json, or {report.narrower}"
            )
        laid_out.append(row)
    told = [
        number
        for number, name in enumerate(report.columns)
        if name not in report.rare or any(row[number] for row in laid_out)
    ]
    columns = [report.columns[number] for number in told]
    cells = [[row[number] for number in told] for row in laid_out]
    write_text(seen_table(columns, cells, ZoneInfo(load_settings().time_zone)))


async def _with_total(report: Report, rows: AsyncIterator[Row]) -> AsyncIterator[Row]:
    totals = dict.fromkeys(report.summed, 0)
    async for row in rows:
        for name, value in zip(report.columns, row, strict=True):
            if name in totals and isinstance(value, int):
                totals[name] += value
        yield row
    if totals:
        yield [TOTAL, *(totals.get(name) for name in report.columns[1:])]


async def _records(columns: Sequence[str], rows: AsyncIterator[Row]) -> AsyncIterator[dict[str, Value]]:
    async for row in rows:
        yield dict(zip(columns, row, strict=True))
