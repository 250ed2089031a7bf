"""The verb that tells what was used."""

import contextlib
from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Final

from chassis.operate.errors import BadInputError
from chassis.operate.options import option, text
from contracts.limits import MAX_TEXT_LENGTH

from ledger.application.people_rows import MAX_TAG_LENGTH
from ledger.operate.database import open_ledger
from ledger.operate.options import AccountOrAll, day, one_of
from ledger.operate.reports import FormatOrFitting, Report, Row, look, write_report
from ledger.operate.settings import load_settings
from ledger.store.projected.usage_report import REPORT_TIMEOUT_SECONDS, UsageBy, UsageLine, UsageWanted, load_usage
from ledger.store.projected.usage_rows import Figures

_RARE: Final = (
    *("cached_prompt_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("unsettled_calls", "unsettled_billable_tokens", "estimated_calls", "unpriced_calls"),
)


async def usage(
    *,
    account: AccountOrAll = None,
    model: Annotated[
        str | None, option("--model", parse=text(MAX_TEXT_LENGTH), help="a model, as calls name it")
    ] = None,
    first_day: Annotated[date | None, option("--from", parse=day, help="first day, in SOLARIS_TIMEZONE")] = None,
    last_day: Annotated[date | None, option("--to", parse=day, help="last day, in SOLARIS_TIMEZONE")] = None,
    tag: Annotated[str | None, option("--tag", parse=text(MAX_TAG_LENGTH), help="people who have this tag")] = None,
    by: Annotated[
        UsageBy, option("--by", parse=one_of(UsageBy), help="day, week, month, model or person")
    ] = UsageBy.DAY,
    format: FormatOrFitting = None,  # noqa: A002  as it is typed
) -> None:
    """Calls, tokens and cost; a table with a total where a person looks, JSON lines where a program does."""
    if first_day is not None and last_day is not None and first_day > last_day:
        raise BadInputError("FROM: not after TO")
    wanted = UsageWanted(
        by=by,
        time_zone=load_settings().time_zone,
        account_id=account,
        model=model,
        tag=None if tag is None else tag.strip().casefold(),
        first_day=first_day,
        last_day=last_day,
    )
    async with open_ledger(statement_timeout_seconds=REPORT_TIMEOUT_SECONDS) as connection:
        await look(connection, "usage", account)
        async with contextlib.aclosing(load_usage(connection, wanted)) as lines:
            figures = Figures._fields
            report = Report(columns=(by, *figures), summed=figures, narrower="FROM= and TO=", rare=_RARE)
            await write_report(format, report, _rows(lines))


async def _rows(lines: AsyncIterator[UsageLine]) -> AsyncIterator[Row]:
    async for line in lines:
        yield [line.of, *line.figures]
