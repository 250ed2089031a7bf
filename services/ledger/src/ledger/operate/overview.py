"""The verb that tells how it goes, day by day."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Final

from chassis.operate.errors import BadInputError
from chassis.operate.options import option

from ledger.operate.database import open_ledger
from ledger.operate.options import day
from ledger.operate.reports import FormatOrFitting, Report, Row, look, write_report
from ledger.operate.settings import load_settings
from ledger.store.projected.overview_report import REPORT_TIMEOUT_SECONDS, OverviewDay, OverviewWanted, load_overview

_FIGURES: Final = tuple(name for name in OverviewDay.__struct_fields__ if name != "revenue_minor")


async def overview(
    *,
    first_day: Annotated[date | None, option("--from", parse=day, help="first day, in SOLARIS_TIMEZONE")] = None,
    last_day: Annotated[date | None, option("--to", parse=day, help="last day, in SOLARIS_TIMEZONE")] = None,
    format: FormatOrFitting = None,  # noqa: A002  as it is typed
) -> None:
    """By day: calls, tokens, cost, active and new people, refusals, and revenue in each currency's smallest unit."""
    if first_day is not None and last_day is not None and first_day > last_day:
        raise BadInputError("FROM: not after TO")
    wanted = OverviewWanted(time_zone=load_settings().time_zone, first_day=first_day, last_day=last_day)
    async with open_ledger(statement_timeout_seconds=REPORT_TIMEOUT_SECONDS) as connection:
        await look(connection, "usage", view="overview")
        days = await load_overview(connection, wanted)
    currencies = sorted({currency for each in days.values() for currency in each.revenue_minor})
    # Somebody who was active on two days is one person: a sum of people would be of nothing.
    summed = {*_FIGURES, *map(_revenue, currencies)} - {"active_people"}
    report = Report(columns=("day", *_FIGURES, *map(_revenue, currencies)), summed=summed, narrower="FROM= and TO=")
    await write_report(format, report, _rows(days, currencies))


def _revenue(currency: str) -> str:
    return f"revenue_{currency}_minor"


async def _rows(days: Mapping[date, OverviewDay], currencies: Sequence[str]) -> AsyncIterator[Row]:
    for of, each in days.items():
        revenue = [each.revenue_minor.get(currency, 0) for currency in currencies]
        yield [of.isoformat(), *(getattr(each, name) for name in _FIGURES), *revenue]
