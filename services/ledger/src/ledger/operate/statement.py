"""The verb that tells what moved an account's tokens, and why."""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import asyncpg
from chassis.operate.errors import BadInputError
from chassis.operate.options import option
from chassis.operate.output import write_line
from chassis.operate.spreadsheet import write_text
from msgspec import Raw
from msgspec.structs import asdict, astuple, replace

from ledger.application.balances import account_now
from ledger.operate.database import open_ledger
from ledger.operate.options import Account, day
from ledger.operate.reports import Format, FormatOrFitting, Report, Row, look, write_report
from ledger.operate.settings import load_settings
from ledger.operate.statement_text import balance_text, header_text, line_text, opening_text
from ledger.store.projected.statement_report import Period, load_last_before, load_statement
from ledger.store.projected.statement_rows import Movement

_REPORT: Final = Report(
    columns=Movement.__struct_fields__,
    # What a call used, was billed and cost is in its correction once more, so that is none of them: see usage.
    summed={"tokens", "from_allowance", "from_credits", "to_debt", "to_unowed", "lapsed"},
    narrower="FROM= and TO=",
)


async def statement(
    *,
    account: Account,
    first_day: Annotated[date | None, option("--from", parse=day, help="first day, in SOLARIS_TIMEZONE")] = None,
    last_day: Annotated[date | None, option("--to", parse=day, help="last day, in SOLARIS_TIMEZONE")] = None,
    format: FormatOrFitting = None,  # noqa: A002  as it is typed
) -> None:
    """Every movement of an account's tokens with what it was made of and the balances after it."""
    if first_day is not None and last_day is not None and first_day > last_day:
        raise BadInputError("FROM: not after TO")
    zone = ZoneInfo(load_settings().time_zone)
    period = Period(_midnight(first_day, zone), _midnight(last_day and last_day + timedelta(days=1), zone))
    async with open_ledger() as connection:
        await look(connection, "statement", account)
        lines = _local(load_statement(connection, account, period), zone)
        match format or (Format.TABLE if sys.stdout.isatty() else Format.JSON):
            case Format.TABLE:
                await _write_table(connection, account, period, lines, zone)
            case Format.CSV:
                await write_report(Format.CSV, _REPORT, _rows(lines))
            case Format.JSON:
                async for line in lines:
                    write_line(asdict(line) | {"lots": Raw((line.lots or "null").encode())})


async def _write_table(
    connection: asyncpg.Connection, account_id: str, period: Period, lines: AsyncIterator[Movement], zone: ZoneInfo
) -> None:
    """Line by line, so that a statement may be as long as it likes."""
    write_text(header_text())
    if period.starts_at is not None:
        before = await load_last_before(connection, account_id, period.starts_at)
        write_text(opening_text(period.starts_at.astimezone(zone), before))
    async for line in lines:
        write_text(line_text(line))
    if period.ends_at is None:
        write_text(balance_text((await account_now(connection, account_id)).balance()))


async def _local(lines: AsyncIterator[Movement], zone: ZoneInfo) -> AsyncIterator[Movement]:
    async for line in lines:
        yield replace(line, recorded_at=line.recorded_at.astimezone(zone))


async def _rows(lines: AsyncIterator[Movement]) -> AsyncIterator[Row]:
    async for line in lines:
        yield astuple(line)


def _midnight(of: date | None, zone: ZoneInfo) -> datetime | None:
    """The first instant of a local day."""
    return None if of is None else datetime.combine(of, time.min, zone).astimezone(UTC)
