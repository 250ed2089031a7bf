"""The verbs that read the request log: its lines, and what was refused."""

import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import date
from typing import Annotated, Any, Final

import asyncpg
from chassis.operate.errors import BadInputError
from chassis.operate.options import option, text
from chassis.operate.output import write_line
from contracts.errors import NotFoundError
from contracts.limits import MAX_TEXT_LENGTH

from ledger.operate.database import open_ledger
from ledger.operate.options import AccountOrAll, day, one_of
from ledger.operate.reports import Format, FormatOrFitting, Report, Row, write_report
from ledger.operate.settings import load_settings
from ledger.store.log import opening_time_of
from ledger.store.requests.people import find_requests, has_requested
from ledger.store.requests.report import (
    LINE_COLUMNS,
    REPORT_TIMEOUT_SECONDS,
    Days,
    RefusalLine,
    RefusalsBy,
    load_lines,
    load_refusals,
)

_SEEN: Final = (
    *("at", "account_id", "model", "ending", "code", "status", "prompt_tokens", "completion_tokens"),
    *("estimated_prompt_tokens", "duration_ms", "address", "request_id"),
)
"""What a table has room for; the other formats have all of it."""
_NARROWER: Final = "ACCOUNT=, ID=, CODE=, FROM= and TO="
_FIRST: Final = option("--from", parse=day, help="first day, in SOLARIS_TIMEZONE")
_LAST: Final = option("--to", parse=day, help="last day, in SOLARIS_TIMEZONE")

type Line = Sequence[Any]  # Any: as the store gives it


async def requests(
    *,
    account: AccountOrAll = None,
    code: Annotated[
        str | None, option("--code", parse=text(MAX_TEXT_LENGTH), help="why they were refused or failed")
    ] = None,
    any_id: Annotated[
        str | None,
        option("--id", parse=text(MAX_TEXT_LENGTH), help="its id, its conversation's, or the client's own"),
    ] = None,
    first_day: Annotated[date | None, _FIRST] = None,
    last_day: Annotated[date | None, _LAST] = None,
    format: FormatOrFitting = None,  # noqa: A002  as it is typed
) -> None:
    """Lines of the request log, the oldest first; bodies, where they are kept, in JSON alone."""
    days = _days(first_day, last_day)
    columns = _SEEN if (format or (Format.TABLE if sys.stdout.isatty() else Format.JSON)) is Format.TABLE else None
    async with open_ledger(statement_timeout_seconds=REPORT_TIMEOUT_SECONDS) as connection:
        await _look(connection, account)
        ids = None if any_id is None else await _ids(connection, any_id)
        async with contextlib.aclosing(load_lines(connection, days, account, code, ids)) as lines:
            if columns is None and format is not Format.CSV:
                async for line in lines:
                    write_line(_record(line))
                return
            report = Report(columns=columns or LINE_COLUMNS, summed=(), narrower=_NARROWER)
            await write_report(format, report, _cells(report.columns, lines))


async def refusals(
    *,
    account: AccountOrAll = None,
    first_day: Annotated[date | None, _FIRST] = None,
    last_day: Annotated[date | None, _LAST] = None,
    by: Annotated[
        RefusalsBy, option("--by", parse=one_of(RefusalsBy), help="day, month, code or person")
    ] = RefusalsBy.DAY,
    format: FormatOrFitting = None,  # noqa: A002  as it is typed
) -> None:
    """How often what was refused, and to how many people; by day and code."""
    days = _days(first_day, last_day)
    async with (
        open_ledger(statement_timeout_seconds=REPORT_TIMEOUT_SECONDS) as connection,
        contextlib.aclosing(load_refusals(connection, by, days, account)) as lines,
    ):
        await _look(connection, account)
        columns = ("code", "refusals", "people") if by is RefusalsBy.CODE else (by, "code", "refusals", "people")
        report = Report(columns=columns, summed=("refusals",), narrower="FROM= and TO=")
        await write_report(format, report, _counts(by, lines))


async def _look(connection: asyncpg.Connection, account: str | None) -> None:
    """Raises NotFoundError where neither the ledger nor the log knows the account."""
    if account is None or await opening_time_of(connection, account) is not None:
        return
    if not await has_requested(connection, account):
        raise NotFoundError(f"no account {account}")


async def _ids(connection: asyncpg.Connection, any_id: str) -> list[str]:
    """Raises NotFoundError where no request is called so."""
    found = [each.request_id for each in await find_requests(connection, any_id)]
    if not found:
        raise NotFoundError("no such request, conversation or client's own id")
    return found


def _days(first: date | None, last: date | None) -> Days:
    if first is not None and last is not None and first > last:
        raise BadInputError("FROM: not after TO")
    return Days(time_zone=load_settings().time_zone, first=first, last=last)


async def _counts(by: RefusalsBy, lines: AsyncIterator[RefusalLine]) -> AsyncGenerator[Row]:
    async for line in lines:
        counts = (line.code, line.refusals, line.people)
        yield counts if by is RefusalsBy.CODE else (line.of, *counts)


async def _cells(columns: Sequence[str], lines: AsyncIterator[Line]) -> AsyncGenerator[Row]:
    places = [LINE_COLUMNS.index(column) for column in columns]
    async for line in lines:
        yield [_cell(line[place]) for place in places]


def _cell(value: Any) -> Any:  # Any: of each column's own type
    return ("yes" if value else "no") if isinstance(value, bool) else value


def _record(line: Line) -> dict[str, Any]:  # Any: of each column's own type
    """What is there: a line of a refusal need not say what it has not."""
    columns = (*LINE_COLUMNS, "request", "answer")
    return {name: value for name, value in zip(columns, line, strict=True) if value is not None}
