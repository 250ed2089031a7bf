"""The verb that brings people in bulk."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Final

from chassis.operate.options import option, switch, text, whole_number
from chassis.operate.output import write_line
from chassis.operate.spreadsheet import write_rows, write_text
from chassis.operate.table import Cell, table_text

from ledger.application.people_import import Import, import_people
from ledger.application.people_rows import ImportTally, Outcome, RowReport
from ledger.catalog_file import load_policy
from ledger.operate.database import open_ledger
from ledger.operate.executing import open_executor
from ledger.operate.options import MAX_KEY_LENGTH
from ledger.operate.people_files.opening import look_at
from ledger.operate.people_files.reading import Rows
from ledger.operate.reports import Format, FormatOrFitting
from ledger.operate.settings import load_settings

DEFAULT_KEY: Final = "people"
MAX_TABLE_ROWS: Final = 1_000
"""A person reads no more; the figures below are of all."""
MAX_PATH_LENGTH: Final = 4_096
MAX_RATE: Final = 10**12
_COLUMNS: Final = ("row", "account_id", "outcome", "what")


async def import_(
    *,
    file: Annotated[str, option("--file", parse=text(MAX_PATH_LENGTH), help="CSV, JSON, JSON lines; LibreChat's too")],
    apply: Annotated[str | None, option("--apply", parse=switch, help="1 does it; else it is only told")] = None,
    key: Annotated[
        str | None, option("--key", parse=text(MAX_KEY_LENGTH), help="names the grant of credits: one a person and key")
    ] = None,
    credits_per_token: Annotated[
        int | None,
        option("--credits_per_token", parse=whole_number(1, MAX_RATE), help="of LibreChat's tokenCredits, for a token"),
    ] = None,
    format: FormatOrFitting = None,  # noqa: A002  as it is typed
) -> int:
    """People of a file: tells what each row changes; APPLY=1 does it. Exit 1 where a row is refused."""
    settings = load_settings()
    policy = load_policy(settings)
    people = look_at(Path(file))
    rows = Rows(people, credits_per_token=credits_per_token)
    wanted = Import(digest=people.digest, key=key or DEFAULT_KEY, file=people.path.name)
    tally = ImportTally(digest=people.digest, kind=people.kind, applied=bool(apply))
    async with contextlib.AsyncExitStack() as stack:
        connection = await stack.enter_async_context(open_ledger())
        executor = await stack.enter_async_context(open_executor(settings, policy, connection)) if apply else None
        reports = _counted(import_people(connection, policy, rows, wanted, executor), tally)
        try:
            await _write(format or (Format.TABLE if sys.stdout.isatty() else Format.JSON), reports, rows, tally)
        except BrokenPipeError:  # nobody reads it any more; what was asked for is done all the same
            if not apply:
                raise
            async for _ in reports:
                pass
    return 1 if tally.refused else 0


async def _counted(reports: AsyncIterator[RowReport], tally: ImportTally) -> AsyncIterator[RowReport]:
    async for report in reports:
        tally.count(report)
        yield report


async def _write(format: Format, reports: AsyncIterator[RowReport], rows: Rows, tally: ImportTally) -> None:  # noqa: A002
    """A report a row, then the figures: those of a spreadsheet on standard error, which it need not read."""
    match format:
        case Format.JSON:
            async for report in reports:
                write_line(report)
        case Format.CSV:
            await write_rows(_COLUMNS, _records(reports))
        case Format.TABLE:
            await _write_table(reports)
    tally.ignored_fields = sorted(rows.ignored)
    if format is Format.JSON:
        write_line(tally)
        return
    told = sys.stderr.write if format is Format.CSV else write_text
    told(_sentence(tally))


async def _records(reports: AsyncIterator[RowReport]) -> AsyncIterator[dict[str, object]]:
    async for report in reports:
        yield dict(zip(_COLUMNS, _cells(report), strict=True))


async def _write_table(reports: AsyncIterator[RowReport]) -> None:
    """Rows that are not as they should be already, and of those the first."""
    shown: list[tuple[Cell, ...]] = []
    more = 0
    async for report in reports:
        if report.outcome is Outcome.UNCHANGED and not report.notes:
            continue
        if len(shown) < MAX_TABLE_ROWS:
            shown.append(_cells(report))
        else:
            more += 1
    if shown:
        write_text(table_text(_COLUMNS, shown))
    if more:
        write_text(f"and {more} more rows: FORMAT=csv or FORMAT=json tells all\n")


def _cells(report: RowReport) -> tuple[Cell, ...]:
    what = "; ".join(filter(None, (*report.changes, *report.notes, report.why)))
    return (report.row, report.account_id, report.outcome, what)


def _sentence(tally: ImportTally) -> str:
    figures = f"{tally.new} new, {tally.changed} changed, {tally.unchanged} unchanged, {tally.refused} refused"
    ignored = f"; fields that say nothing here: {', '.join(tally.ignored_fields)}" if tally.ignored_fields else ""
    done = "" if tally.applied else "; nothing was done: APPLY=1 does it"
    return f"{tally.rows} rows of {tally.kind}: {figures}{ignored}{done}\n"
