"""The request log as it is read: its lines, and how often what was refused; local days, as of one moment."""

import contextlib
from collections.abc import AsyncGenerator, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, Final

import asyncpg
from msgspec import Struct

from ledger.store.requests.lines import COLUMNS

REPORT_TIMEOUT_SECONDS: Final = 120.0
FETCHED_ROWS: Final = 1_000
ACCURACY: Final = "prompt_to_estimate"
LINE_COLUMNS: Final = (*COLUMNS, ACCURACY)
"""`prompt_to_estimate` is the provider's prompt tokens divided by our estimate of them, where it told them."""
_ACCURACY: Final = """
CASE WHEN usage_source IN ('provider', 'provider_repaired') AND estimated_prompt_tokens > 0
THEN round(prompt_tokens::numeric / estimated_prompt_tokens, 4)::text END
"""


class RefusalsBy(StrEnum):
    """What a line of the report is about, beside the code."""

    DAY = "day"
    MONTH = "month"
    CODE = "code"
    PERSON = "person"


_OF: Final = {
    RefusalsBy.DAY: "(hour AT TIME ZONE $1)::date::text",
    RefusalsBy.MONTH: "to_char(hour AT TIME ZONE $1, 'YYYY-MM')",
    RefusalsBy.CODE: "code",
    RefusalsBy.PERSON: "account_id",
}
_ORDER: Final = dict.fromkeys(RefusalsBy, "1, 2") | {
    RefusalsBy.CODE: "refusals DESC, 1",
    RefusalsBy.PERSON: "sum(sum(refusals)) OVER (PARTITION BY account_id) DESC, 1, 2",
}


class Days(Struct, frozen=True, kw_only=True):
    """From the first to the last, both included, as `time_zone` has them; None is any."""

    time_zone: str
    first: date | None = None
    last: date | None = None


class RefusalLine(Struct, frozen=True):
    """`of` is a day, a month, a code or an account id; `people` is how many accounts were refused."""

    of: str
    code: str
    refusals: int
    people: int


async def load_refusals(
    connection: asyncpg.Connection, by: RefusalsBy, days: Days, account_id: str | None
) -> AsyncGenerator[RefusalLine]:
    """Counts by hour, summed up; an hour of a zone that is half an hour beside UTC is of the day in which it begins."""
    query = f"""
        SELECT {_OF[by]}, code, sum(refusals)::bigint AS refusals, count(DISTINCT account_id) AS people
        FROM requests.refusals
        WHERE ($2::text IS NULL OR account_id = $2) AND {_within("hour", 3)}
        GROUP BY 1, 2{", account_id" if by is RefusalsBy.PERSON else ""} ORDER BY {_ORDER[by]}
    """  # noqa: S608  expressions of our own
    arguments = (days.time_zone, account_id, days.first, days.last)
    async with contextlib.aclosing(_rows(connection, query, *arguments)) as rows:
        async for row in rows:
            yield RefusalLine(*row)


async def load_lines(
    connection: asyncpg.Connection,
    days: Days,
    account_id: str | None,
    code: str | None,
    request_ids: Sequence[str] | None,
) -> AsyncGenerator[Sequence[Any]]:  # Any: of each column's own type
    """Lines in the order in which their requests came: `LINE_COLUMNS`, then the bodies that are kept (two, or None).

    That is the order of their ids, in which an index of each day has them: none has to be sorted.
    """
    query = f"""
        SELECT {", ".join(f"log.{name}" for name in COLUMNS)}, {_ACCURACY}, bodies.request, bodies.answer
        FROM requests.log LEFT JOIN requests.bodies USING (request_id, at)
        WHERE ($2::text IS NULL OR log.account_id = $2) AND {_within("at", 3)}
        AND ($5::text IS NULL OR log.code = $5) AND ($6::text[] IS NULL OR log.request_id = ANY ($6))
        ORDER BY request_id
    """  # noqa: S608  expressions of our own
    arguments = (days.time_zone, account_id, days.first, days.last, code, request_ids)
    async with contextlib.aclosing(_rows(connection, query, *arguments)) as rows:
        async for row in rows:
            yield tuple(row)


def _within(moment: str, first: int) -> str:
    """Whether a moment is within the days of two parameters; in a form by which partitions and indexes are found."""

    def midnight(day: str) -> str:
        return f"({day})::timestamp AT TIME ZONE $1"

    after, before = f"${first}::date", f"${first + 1}::date"
    return (
        f"({after} IS NULL OR {moment} >= {midnight(after)})"
        f" AND ({before} IS NULL OR {moment} < {midnight(f'{before} + 1')})"
    )


async def _rows(connection: asyncpg.Connection, query: str, *arguments: object) -> AsyncGenerator[asyncpg.Record]:
    """As of one moment; to be closed by who may leave before the last: a transaction ends before its connection."""
    async with connection.transaction(readonly=True):
        cursor = await connection.cursor(query, *arguments, timeout=REPORT_TIMEOUT_SECONDS)
        while rows := await cursor.fetch(FETCHED_ROWS, timeout=REPORT_TIMEOUT_SECONDS):
            for row in rows:
                yield row
