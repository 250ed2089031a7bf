"""The views of the schema `analytics`: what each tells, column by column, and from where."""

from typing import Final

from ledger.store.analytics import Column, View

_DAY: Final = Column("date", "Local day, in the time zone of the installation")
_ACCOUNT: Final = Column("text", "Account id: the client's user id, or a pseudonym (p-…); no name")
_MODEL: Final = Column("text", "Model as it was asked for")
_FIGURES: Final = {
    "calls": Column("bigint", "Calls that were charged, those without any usage included"),
    "prompt_tokens": Column("bigint", "Provider tokens of prompts, cached ones included"),
    "cached_prompt_tokens": Column("bigint", "Of the prompt tokens: read from the provider's cache"),
    "cache_write_tokens": Column("bigint", "Of the prompt tokens: written to the provider's cache"),
    "completion_tokens": Column("bigint", "Provider tokens of answers, reasoning included"),
    "reasoning_tokens": Column("bigint", "Of the completion tokens: reasoning"),
    "billable_tokens": Column("bigint", "What was charged: tokens by weight, rounded up once a call"),
    "cost_usd": Column("numeric", "What the provider charges for it, in USD by the catalog's prices"),
    "unsettled_calls": Column("bigint", "Of the calls: charged by their holds, since no usage came"),
    "estimated_calls": Column("bigint", "Of the calls: counted by ourselves, since the provider told nothing"),
    "unpriced_calls": Column("bigint", "Of the calls: of models without a price, which add no cost"),
}
_SUMMED: Final = [name for name in _FIGURES if name != "cost_usd"]
_SUMS: Final = ", ".join(f"sum({name}) AS {name}" for name in _SUMMED) + ", sum(cost_usd_micros) / 1000000 AS cost_usd"
_MONEY: Final = {
    "currency": Column("text", "ISO 4217, in small letters"),
    "amount_minor": Column("bigint", "In the currency's smallest unit; less than 0 where it went back"),
    "amount": Column("numeric", "The same in whole units: reais, dollars"),
}
# ISO 4217's exceptions among what Stripe takes.
_AMOUNT: Final = """
    amount_minor / CASE
        WHEN currency IN ('bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf',
            'xof', 'xpf') THEN 1.0
        WHEN currency IN ('bhd', 'jod', 'kwd', 'omr', 'tnd') THEN 1000.0 ELSE 100.0
    END
"""

USAGE_BY_DAY: Final = View(
    name="usage_by_day",
    about="What each account used, by local day in which the call began, model and endpoint",
    columns={"day": _DAY, "account_id": _ACCOUNT, "model": _MODEL, "endpoint": Column("text", "API path"), **_FIGURES},
    sources=("projections.usage",),
    query=f"""
        SELECT (starts_at AT TIME ZONE {{zone}})::date AS day, account_id, model, endpoint, {_SUMS}
        FROM projections.usage GROUP BY 1, 2, 3, 4
    """,  # noqa: S608  constants, here and below
)
USAGE_BY_HOUR: Final = View(
    name="usage_by_hour",
    about="What all accounts used together, by hour and model: when people work",
    columns={
        "hour": Column("timestamptz", "Beginning of the hour"),
        "day": _DAY,
        "local_hour": Column("integer", "Hour of the local day, 0 to 23"),
        "weekday": Column("integer", "Local day of the week: 1 is Monday, 7 Sunday"),
        "model": _MODEL,
        **_FIGURES,
    },
    sources=("projections.usage",),
    query=f"""
        SELECT *, (hour AT TIME ZONE {{zone}})::date AS day,
            extract(hour FROM hour AT TIME ZONE {{zone}}) AS local_hour,
            extract(isodow FROM hour AT TIME ZONE {{zone}}) AS weekday
        FROM (
            SELECT date_trunc('hour', starts_at, {{zone}}) AS hour, model, {_SUMS} FROM projections.usage GROUP BY 1, 2
        ) AS told
    """,  # noqa: S608
)
OVERVIEW_BY_DAY: Final = View(
    name="overview_by_day",
    about="One row a local day on which anything was used or anybody came",
    columns={
        "day": _DAY,
        "active_people": Column("bigint", "Accounts that were charged for a call that began on that day"),
        "new_people": Column("bigint", "Accounts that were opened"),
        **_FIGURES,
    },
    sources=("projections.overview", "projections.usage"),
    query=f"""
        WITH people AS (
            SELECT (starts_at AT TIME ZONE {{zone}})::date AS day, count(DISTINCT account_id) AS active_people
            FROM projections.usage GROUP BY 1
        ), summed AS (
            SELECT (starts_at AT TIME ZONE {{zone}})::date AS day, sum(new_people) AS new_people, {_SUMS}
            FROM projections.overview GROUP BY 1
        )
        SELECT summed.*, coalesce(active_people, 0) AS active_people FROM summed LEFT JOIN people USING (day)
    """,  # noqa: S608
)
HOLDS: Final = View(
    name="holds",
    about="Calls whose usage has not come: open ones, and those that were charged by their holds",
    columns={
        "account_id": _ACCOUNT,
        "reservation_id": Column("text", "The call's id, in logs too"),
        "state": Column("text", "open, or unsettled: charged in full"),
        "reserved_at": Column("timestamptz", "When it was made"),
        "expires_at": Column("timestamptz", "Until when usage is awaited"),
        "model": _MODEL,
        "endpoint": Column("text", "API path"),
        "tokens": Column("bigint", "Billable tokens held or charged"),
    },
    sources=("projections.outstanding",),
    query="SELECT * FROM projections.outstanding",
)
STATEMENT: Final = View(
    name="statement",
    about="Every movement of every account, with how the account stood after it; tokens are billable ones",
    columns={
        "account_id": _ACCOUNT,
        "position": Column("bigint", "Place in the log: the order of everything"),
        "recorded_at": Column("timestamptz", "When it was decided"),
        "day": _DAY,
        "kind": Column("text", "call, unsettled, correction, grant, revocation, restoration, expiry, plan, limit, …"),
        "tokens": Column("bigint", "What the account gained; negative for a call"),
        "from_allowance": Column("bigint", "Taken from the month's allowance"),
        "from_credits": Column("bigint", "Taken from credits"),
        "to_debt": Column("bigint", "Owed since nothing covered it"),
        "reservation_id": Column("text", "Of a call"),
        "model": _MODEL,
        "lot_id": Column("text", "Of a grant, a revocation or an expiry"),
        "reference": Column("text", "By what the cause is found elsewhere: an order, a command"),
        "plan": Column("text", "Of a change of plan"),
        "monthly_used": Column("bigint", "Allowance that was used, after it"),
        "monthly_limit": Column("bigint", "Allowance of the month, after it"),
        "credits": Column("bigint", "Credits left, after it"),
        "debt": Column("bigint", "Debt, after it"),
    },
    sources=("projections.statement",),
    query="SELECT *, (recorded_at AT TIME ZONE {zone})::date AS day FROM projections.statement",
)
REVENUE: Final = View(
    name="revenue",
    about="Every movement of money: paid, refunded, disputed, and what of that came back",
    columns={
        "moved_at": Column("timestamptz", "When billing told of it"),
        "day": _DAY,
        "account_id": _ACCOUNT,
        "order_id": Column("text", "Order, or subscription, that it is of"),
        "kind": Column("text", "paid, refunded or disputed"),
        **_MONEY,
    },
    sources=("revenue.movements",),
    query=f"""
        SELECT *, (moved_at AT TIME ZONE {{zone}})::date AS day, {_AMOUNT} AS amount FROM revenue.movements
    """,  # noqa: S608
)
REVENUE_BY_DAY: Final = View(
    name="revenue_by_day",
    about="Money by local day, kind and currency; their sum is what came in less what went back",
    columns={
        "day": _DAY,
        "kind": Column("text", "paid, refunded or disputed"),
        "movements": Column("bigint", "How many movements that were"),
        **_MONEY,
    },
    sources=("revenue.movements",),
    query=f"""
        SELECT *, {_AMOUNT} AS amount FROM (
            SELECT (moved_at AT TIME ZONE {{zone}})::date AS day, kind, currency, count(*) AS movements,
                sum(amount_minor) AS amount_minor
            FROM revenue.movements GROUP BY 1, 2, 3
        ) AS told
    """,  # noqa: S608
)
MARGIN_BY_MONTH: Final = View(
    name="margin_by_month",
    about="What came in, by currency, beside what models cost in USD, by local month; no exchange rate is known here",
    columns={
        "month": Column("date", "First day of the local month"),
        "cost_usd": Column("numeric", "What the provider charges for all usage of the month"),
        "revenue_brl": Column("numeric", "Reais that came in, less those that went back"),
        "revenue_usd": Column("numeric", "US dollars that came in, less those that went back"),
        "other_currencies": Column("bigint", "Movements in other currencies, which stand in neither"),
    },
    sources=("projections.overview", "revenue.movements"),
    query="""
        SELECT month, coalesce(cost_usd, 0) AS cost_usd, coalesce(revenue_brl, 0) AS revenue_brl,
            coalesce(revenue_usd, 0) AS revenue_usd, coalesce(other_currencies, 0) AS other_currencies
        FROM (
            SELECT date_trunc('month', starts_at AT TIME ZONE {zone})::date AS month,
                sum(cost_usd_micros) / 1000000 AS cost_usd
            FROM projections.overview GROUP BY 1
        ) AS cost FULL JOIN (
            SELECT date_trunc('month', moved_at AT TIME ZONE {zone})::date AS month,
                sum(amount_minor) FILTER (WHERE currency = 'brl') / 100.0 AS revenue_brl,
                sum(amount_minor) FILTER (WHERE currency = 'usd') / 100.0 AS revenue_usd,
                count(*) FILTER (WHERE currency NOT IN ('brl', 'usd')) AS other_currencies
            FROM revenue.movements GROUP BY 1
        ) AS revenue USING (month)
    """,
)

PEOPLE: Final = View(
    name="people",
    about="Everybody who has an account, as they stand now; who was forgotten has neither name nor address here",
    columns={
        "account_id": _ACCOUNT,
        "name": Column("text", "As the client tells it, or as it was imported; null where nobody does"),
        "email": Column("text", "Likewise"),
        "plan": Column("text", "Plan now"),
        "status": Column("text", "active, suspended, blocked or pending"),
        "monthly_used": Column("bigint", "Billable tokens used of the cycle's allowance"),
        "monthly_limit": Column("bigint", "Allowance of the cycle"),
        "used_percent": Column("numeric", "Of the allowance, to a tenth; 100 where the limit is 0"),
        "credits": Column("bigint", "Credits left"),
        "debt": Column("bigint", "Debt"),
        "last_call_at": Column("timestamptz", "Null: never"),
        "tags": Column("text", "What the person is grouped by, a department say, with commas between"),
    },
    sources=("projections.people", "ledger.profiles"),
    query="""
        SELECT people.*, array_to_string(profile.tags, ', ') AS tags,
            CASE WHEN monthly_limit > 0 THEN round(monthly_used * 100.0 / monthly_limit, 1) ELSE 100 END AS used_percent
        FROM projections.people AS people LEFT JOIN ledger.profiles AS profile USING (account_id)
    """,
    is_personal=True,
)
REFUSALS_BY_DAY: Final = View(
    name="refusals_by_day",
    about="How often whom was refused what, by the local day in which the hour of UTC begins",
    columns={
        "day": _DAY,
        "account_id": _ACCOUNT,
        "code": Column("text", "insufficient_tokens, account_suspended, …"),
        "refusals": Column("bigint", "How often"),
    },
    sources=("requests.refusals",),
    query="""
        SELECT (hour AT TIME ZONE {zone})::date AS day, account_id, code, sum(refusals) AS refusals
        FROM requests.refusals GROUP BY 1, 2, 3
    """,
)
REQUESTS_BY_DAY: Final = View(
    name="requests_by_day",
    about="Requests of the request log by local day, model and how they ended, as far back as the log is kept",
    columns={
        "day": _DAY,
        "model": _MODEL,
        "ending": Column("text", "served, refused or failed"),
        "code": Column("text", "Why it was refused or failed; empty where it was served"),
        "requests": Column("bigint", "How many"),
        "median_duration_ms": Column("numeric", "Half of them took no longer"),
        "p95_duration_ms": Column("numeric", "19 of 20 took no longer"),
        "median_first_token_ms": Column("numeric", "Half of those that were answered began no later"),
    },
    sources=("requests.log",),
    query="""
        SELECT (at AT TIME ZONE {zone})::date AS day, model, ending, coalesce(code, '') AS code, count(*) AS requests,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) AS median_duration_ms,
            percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_duration_ms,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY first_token_ms) AS median_first_token_ms
        FROM requests.log GROUP BY 1, 2, 3, 4
    """,
)
ESTIMATES_BY_DAY: Final = View(
    name="estimates_by_day",
    about="How right prompts were estimated, of calls whose provider told its own figures, by local day and model",
    columns={
        "day": _DAY,
        "model": _MODEL,
        "calls": Column("bigint", "How many"),
        "estimated_prompt_tokens": Column("bigint", "Estimated before the call, without any margin"),
        "prompt_tokens": Column("bigint", "As the provider counted them"),
        "short_calls": Column("bigint", "Of the calls: estimated below what came"),
        "wide_calls": Column("bigint", "Of the calls: a tenth or more away from what came, either way"),
    },
    sources=("requests.log",),
    query="""
        SELECT (at AT TIME ZONE {zone})::date AS day, model, count(*) AS calls,
            sum(estimated_prompt_tokens) AS estimated_prompt_tokens, sum(prompt_tokens) AS prompt_tokens,
            count(*) FILTER (WHERE estimated_prompt_tokens < prompt_tokens) AS short_calls,
            count(*) FILTER (WHERE abs(estimated_prompt_tokens - prompt_tokens) * 10 >= prompt_tokens) AS wide_calls
        FROM requests.log WHERE usage_source = 'provider' AND prompt_tokens > 0 GROUP BY 1, 2
    """,
)

VIEWS: Final = (
    PEOPLE,
    USAGE_BY_DAY,
    USAGE_BY_HOUR,
    OVERVIEW_BY_DAY,
    HOLDS,
    STATEMENT,
    REVENUE,
    REVENUE_BY_DAY,
    MARGIN_BY_MONTH,
    REFUSALS_BY_DAY,
    REQUESTS_BY_DAY,
    ESTIMATES_BY_DAY,
)
