"""Sums of usage by local days, weeks, months, models or people, as of one moment."""

from collections.abc import AsyncGenerator
from datetime import date
from enum import StrEnum
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.store.projected.usage_rows import Figures

REPORT_TIMEOUT_SECONDS: Final = 120.0
FETCHED_ROWS: Final = 1_000

_LOCAL: Final = "(starts_at AT TIME ZONE $1)"
_SUMS: Final = ", ".join(f"sum({name})::bigint AS {name}" for name in Figures._fields)


class UsageBy(StrEnum):
    """What a line of a report is about; a week begins on Monday, all of them at local midnight."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    MODEL = "model"
    PERSON = "person"


_OF: Final = {
    UsageBy.DAY: f"{_LOCAL}::date::text",
    UsageBy.WEEK: f"date_trunc('week', {_LOCAL})::date::text",
    UsageBy.MONTH: f"to_char({_LOCAL}, 'YYYY-MM')",
    UsageBy.MODEL: "model",
    UsageBy.PERSON: "account_id",
}
_ORDER: Final = dict.fromkeys(UsageBy, "1") | dict.fromkeys(
    (UsageBy.MODEL, UsageBy.PERSON), "sum(billable_tokens) DESC, 1"
)


class UsageWanted(Struct, frozen=True, kw_only=True):
    """Days from `first_day` to `last_day`, both included, as `time_zone` has them; None is any."""

    by: UsageBy
    time_zone: str
    account_id: str | None = None
    model: str | None = None
    tag: str | None = None
    first_day: date | None = None
    last_day: date | None = None


class UsageLine(Struct, frozen=True):
    """`of` is a day or the first of a week (2026-11-30), a month (2026-11), a model or an account id."""

    of: str
    figures: Figures


async def load_usage(connection: asyncpg.Connection, wanted: UsageWanted) -> AsyncGenerator[UsageLine]:
    """The lines of a report, through a cursor: days in their order, models and people by what they used.

    Days are those of the database's own time zones throughout, so the days of a range sum up to it, across changes of
    clocks and in zones of half and quarter hours.
    """
    query = f"""
        SELECT {_OF[wanted.by]}, {_SUMS} FROM projections.usage
        WHERE ($2::text IS NULL OR account_id = $2) AND ($3::text IS NULL OR model = $3)
        -- A zone is less than a day away from UTC: this much an index finds.
        AND ($4::date IS NULL OR starts_at >= ($4 - 1)::timestamp AT TIME ZONE 'UTC' AND {_LOCAL}::date >= $4)
        AND ($5::date IS NULL OR starts_at < ($5 + 2)::timestamp AT TIME ZONE 'UTC' AND {_LOCAL}::date <= $5)
        AND ($6::text IS NULL OR account_id IN (SELECT account_id FROM ledger.profiles WHERE $6 = ANY (tags)))
        GROUP BY 1 ORDER BY {_ORDER[wanted.by]}
    """  # noqa: S608  expressions of our own
    arguments = (wanted.time_zone, wanted.account_id, wanted.model, wanted.first_day, wanted.last_day, wanted.tag)
    async with connection.transaction(readonly=True):
        cursor = await connection.cursor(query, *arguments, timeout=REPORT_TIMEOUT_SECONDS)
        while rows := await cursor.fetch(FETCHED_ROWS, timeout=REPORT_TIMEOUT_SECONDS):
            for row in rows:
                yield UsageLine(row[0], Figures(*row[1:]))
