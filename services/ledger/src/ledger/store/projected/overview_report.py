"""The overview by local day: what was used and what it cost, by how many people, what was refused and what was paid."""

from collections import defaultdict
from datetime import date
from typing import Final

import asyncpg
from msgspec import Struct, field

REPORT_TIMEOUT_SECONDS: Final = 120.0

# A zone is less than a day away from UTC: so much an index finds.
_IN_DAYS: Final = """
    ($2::date IS NULL OR {moment} >= ($2 - 1)::timestamp AT TIME ZONE 'UTC' AND ({moment} AT TIME ZONE $1)::date >= $2)
    AND ($3::date IS NULL OR {moment} < ($3 + 2)::timestamp AT TIME ZONE 'UTC'
        AND ({moment} AT TIME ZONE $1)::date <= $3)
"""
_SUMS: Final = f"""
SELECT (starts_at AT TIME ZONE $1)::date, sum(calls)::bigint,
    sum(prompt_tokens + completion_tokens)::bigint, sum(billable_tokens)::bigint, sum(cost_usd_micros)::bigint,
    sum(new_people)::bigint
FROM projections.overview WHERE {_IN_DAYS.format(moment="starts_at")} GROUP BY 1
"""  # noqa: S608  expressions of our own
# Which quarter hours of a day of UTC are of which local day: two, or three where clocks change.
_ACTIVE: Final = """
WITH extent AS (
    SELECT greatest(min(day), $2::date - 1) AS first, least(max(day), $3::date + 1) AS last FROM projections.activity
), calendar AS (
    SELECT (quarter AT TIME ZONE 'UTC')::date AS utc_day, (quarter AT TIME ZONE $1)::date AS day,
        bit_or(set_bit(repeat('0', 96)::bit(96), (extract(epoch FROM quarter)::bigint % 86400 / 900)::integer, 1))
            AS quarters
    FROM extent, generate_series(
        extent.first::timestamp AT TIME ZONE 'UTC', (extent.last + 1)::timestamp AT TIME ZONE 'UTC' - interval '15 min',
        interval '15 min'
    ) AS quarter
    GROUP BY 1, 2
)
SELECT calendar.day, count(DISTINCT activity.account_id)
FROM calendar JOIN projections.activity ON activity.day = calendar.utc_day
WHERE activity.quarters & calendar.quarters <> repeat('0', 96)::bit(96)
AND ($2::date IS NULL OR calendar.day >= $2) AND ($3::date IS NULL OR calendar.day <= $3)
GROUP BY 1
"""
_REVENUE: Final = f"""
SELECT (moved_at AT TIME ZONE $1)::date, currency, sum(amount_minor)::bigint
FROM revenue.movements WHERE {_IN_DAYS.format(moment="moved_at")} GROUP BY 1, 2
"""  # noqa: S608  as above
# Kept by the hour: where a day begins within one, it is of the day in which it begins.
_REFUSALS: Final = f"""
SELECT (hour AT TIME ZONE $1)::date, sum(refusals)::bigint
FROM requests.refusals WHERE {_IN_DAYS.format(moment="hour")} GROUP BY 1
"""  # noqa: S608  as above


class OverviewWanted(Struct, frozen=True, kw_only=True):
    """Days from `first_day` to `last_day`, both included, as `time_zone` has them; None is any."""

    time_zone: str
    first_day: date | None = None
    last_day: date | None = None


class OverviewDay(Struct, kw_only=True):
    """One local day. `provider_tokens` are prompt and completion, `revenue_minor` what came in less what went back."""

    calls: int = 0
    provider_tokens: int = 0
    billable_tokens: int = 0
    cost_usd_micros: int = 0
    active_people: int = 0
    new_people: int = 0
    refusals: int = 0
    revenue_minor: dict[str, int] = field(default_factory=dict)


async def load_overview(connection: asyncpg.Connection, wanted: OverviewWanted) -> dict[date, OverviewDay]:
    """Every day on which there was anything, in order; all of one moment.

    Somebody is active on the local day in which they began a call. Days are those of the database's own time zones, so
    they sum up to their range, but for people, who may be active on several.
    """
    asked = (wanted.time_zone, wanted.first_day, wanted.last_day)
    days: defaultdict[date, OverviewDay] = defaultdict(OverviewDay)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for day, calls, provider, billable, cost, new in await connection.fetch(_SUMS, *asked):
            days[day] = OverviewDay(
                calls=calls,
                provider_tokens=provider,
                billable_tokens=billable,
                cost_usd_micros=cost,
                new_people=new,
            )
        for day, people in await connection.fetch(_ACTIVE, *asked):
            days[day].active_people = people
        for day, currency, amount_minor in await connection.fetch(_REVENUE, *asked):
            days[day].revenue_minor[currency] = amount_minor
        for day, refusals in await connection.fetch(_REFUSALS, *asked):
            days[day].refusals = refusals
    return dict(sorted(days.items()))
