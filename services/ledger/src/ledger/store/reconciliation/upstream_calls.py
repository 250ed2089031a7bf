"""What LiteLLM tells of calls, as rows of `reconciliation.calls`: each attempt once, however often it is told."""

from collections.abc import AsyncGenerator, Sequence
from datetime import date, datetime, timedelta
from itertools import batched
from typing import Final

import asyncpg

from ledger.store.reconciliation.rows import Source, Tokens, UpstreamCall

FETCHED_ROWS: Final = 1_000
KEPT_ROWS: Final = 1_000
"""Of one statement."""
PRUNED_ROWS: Final = 5_000
SEVERAL: Final = "(several)"
"""Stands for the account of attempts that name more than one, which no account can be called: it is nobody's call."""

_COLUMNS: Final = (
    "source, call_id, started_at, ended_at, account_id, model, failed, cached, prompt_tokens, completion_tokens,"
    " cached_prompt_tokens, cache_write_tokens, reasoning_tokens, cost_usd_micros"
)
# What came first stands: an attempt has one truth, and who tells another of the same moment is not believed more.
_KEEP: Final = f"""
INSERT INTO reconciliation.calls ({_COLUMNS})
SELECT $1, * FROM unnest(
    $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[], $7::boolean[], $8::boolean[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[]
) ON CONFLICT DO NOTHING
"""  # noqa: S608  constants
_SORTED: Final = f"""
SELECT call_id,
    CASE WHEN min(nullif(account_id, '')) <> max(account_id) THEN '{SEVERAL}' ELSE max(account_id) END,
    max(model), min(started_at), max(ended_at), bool_and(failed), bool_and(cached),
    sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint, sum(cached_prompt_tokens)::bigint,
    sum(cache_write_tokens)::bigint, sum(reasoning_tokens)::bigint, sum(cost_usd_micros)::bigint
FROM reconciliation.calls WHERE source = $1 AND started_at >= $2 AND started_at < $3
GROUP BY call_id ORDER BY call_id
"""  # noqa: S608  constants
_PRUNE: Final = """
DELETE FROM reconciliation.calls WHERE (source, call_id, started_at) IN (
    SELECT source, call_id, started_at FROM reconciliation.calls
    WHERE source = $1 AND started_at < $2 ORDER BY started_at LIMIT $3
)
"""
_FIRST: Final = "SELECT min(started_at) FROM reconciliation.calls WHERE source = $1"
_NEXT_PAGE: Final = "SELECT next_page FROM reconciliation.fetched_days WHERE day = $1"
_NOTE_PAGE: Final = """
INSERT INTO reconciliation.fetched_days (day, next_page) VALUES ($1, $2)
ON CONFLICT (day) DO UPDATE SET next_page = excluded.next_page, fetched_at = now()
"""

type Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


async def keep_calls(connection: Connection, source: Source, calls: Sequence[UpstreamCall]) -> int:
    """Store those that are not there yet, all or none of them; returns how many that were."""
    # In one order, so that two deliveries of the same calls never wait for each other in a circle.
    rows = [_row(call) for call in sorted(calls, key=lambda call: (call.call_id, call.started_at))]
    kept = 0
    async with connection.transaction():
        for page in batched(rows, KEPT_ROWS):
            status = await connection.execute(_KEEP, source.value, *map(list, zip(*page, strict=True)))
            kept += int(status.rpartition(" ")[2])
    return kept


async def sorted_calls(
    connection: asyncpg.Connection, source: Source, starts_at: datetime, ends_at: datetime
) -> AsyncGenerator[UpstreamCall]:
    """Those that began in that time, by call id, the attempts of one id summed; the caller has the transaction."""
    cursor = await connection.cursor(_SORTED, source.value, starts_at, ends_at)
    while rows := await cursor.fetch(FETCHED_ROWS):
        for row in rows:
            yield UpstreamCall(
                call_id=row[0],
                account_id=row[1],
                model=row[2],
                started_at=row[3],
                ended_at=row[4],
                failed=row[5],
                cached=row[6],
                tokens=Tokens(*row[7:12]),
                cost_usd_micros=row[12],
            )


async def first_told(connection: Connection, source: Source) -> datetime | None:
    """When the first call began that is known of a source; None where none is."""
    rows = await connection.fetch(_FIRST, source.value)
    found: datetime | None = rows[0][0]
    return found


async def prune_calls(connection: Connection, before: datetime) -> int:
    """Delete those that began before, page by page; returns how many."""
    pruned = 0
    for source in Source:
        while deleted := int((await connection.execute(_PRUNE, source.value, before, PRUNED_ROWS)).rpartition(" ")[2]):
            pruned += deleted
    return pruned


async def next_page_of(connection: Connection, day: date) -> int | None:
    """Of a day of LiteLLM's own log: the page to fetch next; None where all were, once the day was over."""
    rows = await connection.fetch(_NEXT_PAGE, day)
    return rows[0][0] if rows else 1


async def note_page(connection: Connection, day: date, next_page: int | None) -> None:
    await connection.execute(_NOTE_PAGE, day, next_page)


def utc_midnight(day: date) -> datetime:
    """When a UTC day begins."""
    return datetime.fromisoformat(f"{day.isoformat()}T00:00:00+00:00")


def end_of(day: date) -> datetime:
    """When a UTC day is over."""
    return utc_midnight(day) + timedelta(days=1)


def _row(call: UpstreamCall) -> tuple[object, ...]:
    return (
        call.call_id,
        call.started_at,
        call.ended_at,
        call.account_id,
        call.model,
        call.failed,
        call.cached,
        *call.tokens,
        call.cost_usd_micros,
    )
