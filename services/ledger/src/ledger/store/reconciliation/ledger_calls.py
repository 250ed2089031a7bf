"""Our side of a reconciliation: the log's reservations of some days, sorted by their ids in a table of the session."""

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import asyncpg
from contracts.codec import encode
from contracts.errors import NotFoundError
from contracts.events.rates import Rates
from contracts.events.registry import LedgerEvent
from contracts.events.reservations import ReservationExpired, ReservationReleased, TokensReserved, UsageSettled
from msgspec import json

from ledger.store.codec import TYPES as NAMES
from ledger.store.facts import decode_fact
from ledger.store.log import leaving_time, newest_position, position_before, rows_of_account
from ledger.store.projected.tracks import PageEvent, load_page
from ledger.store.reconciliation.rows import CallState, LedgerCall, Tokens

TYPES: Final = frozenset[type[LedgerEvent]]({TokensReserved, UsageSettled, ReservationReleased, ReservationExpired})
_SETTLED: Final = NAMES[UsageSettled]
LATE: Final = timedelta(days=40)
"""How long after a call all that is told of it is read: what is put right later is found by its hold."""
FETCHED_ROWS: Final = 1_000

_TABLE: Final = "reconciled_calls"
_COLUMNS: Final = (
    "call_id, account_id, position, state, model, endpoint, started_at, told_at, settlement, usage_source, outcome,"
    " status, prompt_tokens, completion_tokens, cached_prompt_tokens, cache_write_tokens, reasoning_tokens,"
    " cost_usd_micros, price_known, unreserved, unreserved_rates, catalog_version, content_hash"
)
_CREATE: Final = f"""
CREATE TEMPORARY TABLE {_TABLE} (
    call_id text COLLATE "C", account_id text COLLATE "C", position bigint, state text, model text COLLATE "C",
    endpoint text, started_at timestamptz, told_at timestamptz, settlement integer, usage_source text, outcome text,
    status integer, prompt_tokens bigint, completion_tokens bigint, cached_prompt_tokens bigint,
    cache_write_tokens bigint, reasoning_tokens bigint, cost_usd_micros bigint, price_known boolean, unreserved boolean,
    unreserved_rates text, catalog_version text, content_hash text
) ON COMMIT DROP
"""
_LAST: Final = f"""
SELECT DISTINCT ON (call_id, account_id) call_id, account_id, state, model, endpoint, started_at, told_at,
    (sum(settlement) OVER (PARTITION BY call_id, account_id))::integer, usage_source, outcome, status,
    prompt_tokens, completion_tokens, cached_prompt_tokens, cache_write_tokens, reasoning_tokens,
    cost_usd_micros, price_known, unreserved, unreserved_rates, catalog_version, content_hash
FROM {_TABLE} ORDER BY call_id, account_id, position DESC
"""  # noqa: S608  constants
_SUMS: Final = f"""
SELECT (last.started_at AT TIME ZONE 'UTC')::date AS day, model, count(*), sum(prompt_tokens)::bigint,
    sum(completion_tokens)::bigint, sum(cached_prompt_tokens)::bigint, sum(cache_write_tokens)::bigint,
    sum(reasoning_tokens)::bigint, sum(cost_usd_micros)::bigint
FROM ({_LAST}) AS last WHERE state = 'settled' GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608  constants
# Ends that give way to another: few, and their holds tell which of them did.
_ENDED_ANEW: Final = f"""
SELECT last.account_id, array_agg(last.call_id) FROM ({_LAST}) AS last
JOIN ledger.holds AS hold ON hold.account_id = last.account_id AND hold.reservation_id = last.call_id
WHERE (last.state = 'expired' OR last.usage_source = 'estimated')
AND hold.state = 'settled' AND hold.record ->> 'usage_hash' <> last.content_hash
GROUP BY last.account_id
"""  # noqa: S608  constants
_decode_rates: Final = json.Decoder(Rates).decode
_SETTINGS: Final = "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off"


async def gather_calls(connection: asyncpg.Connection, starts_at: datetime, ends_at: datetime, now: datetime) -> None:
    """Read the log's calls that began in that time into the transaction's table.

    Events are stored after their call has begun, and little out of the order of their times: a search by halves finds
    where the days begin.

    Raises:
        NotFoundError: the log has no events of that time any more; without them all would seem to be missing.
    """
    left_at = await leaving_time(connection)
    if left_at is not None and left_at > starts_at:
        raise NotFoundError(f"the database has no events before {left_at:%Y-%m-%d %H:%M} UTC any more")
    await connection.execute(_SETTINGS)
    await connection.execute(_CREATE)
    newest = await newest_position(connection)
    after = await position_before(connection, starts_at, newest)
    last = newest if ends_at + LATE >= now else await position_before(connection, ends_at + LATE, newest)
    while after < last:
        page = await load_page(connection, after, last, TYPES)
        if not page.count:
            break
        await _gather(connection, [_row(each) for each in page.events if starts_at <= _began(each) < ends_at])
        after = page.last
    await connection.execute(f"ANALYZE {_TABLE}")
    if last < newest:
        for account_id, call_ids in await connection.fetch(_ENDED_ANEW):
            await _gather_corrections(connection, account_id, frozenset(call_ids), last)


async def _gather_corrections(
    connection: asyncpg.Connection, account_id: str, call_ids: frozenset[str], after: int
) -> None:
    async for rows in rows_of_account(connection, account_id, first=after + 1):
        settled = [row for row in rows if row["type"] == _SETTLED]
        told = [
            PageEvent(row["position"], account_id, decode_fact(row["type"], row["data"]), row["version"])
            for row in settled
        ]
        await _gather(connection, [_row(each) for each in told if _event(each).reservation_id in call_ids])


async def _gather(connection: asyncpg.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        await connection.copy_records_to_table(_TABLE, records=rows, columns=_COLUMNS.split(", "))


async def sorted_ledger_calls(connection: asyncpg.Connection) -> AsyncGenerator[LedgerCall]:
    """Those that were gathered, by id and account, each as its last event has it."""
    cursor = await connection.cursor(_LAST)
    while rows := await cursor.fetch(FETCHED_ROWS):
        for row in rows:
            yield LedgerCall(
                call_id=row[0],
                account_id=row[1],
                state=CallState(row[2]),
                model=row[3],
                endpoint=row[4],
                started_at=row[5],
                told_at=row[6],
                settlements=row[7],
                usage_source=row[8],
                outcome=row[9],
                status=row[10],
                tokens=Tokens(*row[11:16]),
                cost_usd_micros=row[16],
                price_known=row[17],
                unreserved=row[18],
                unreserved_rates=None if row[19] is None else _decode_rates(row[19]),
                catalog_version=row[20],
                content_hash=row[21],
            )


async def load_sums(connection: asyncpg.Connection) -> Sequence[tuple[date, str, int, Tokens, int]]:
    """Of what was gathered and is settled, by UTC day and model: day, model, calls, tokens, cost in USD micros."""
    return [(row[0], row[1], row[2], Tokens(*row[3:8]), row[8]) for row in await connection.fetch(_SUMS)]


type _Event = TokensReserved | UsageSettled | ReservationReleased | ReservationExpired


def _event(each: PageEvent[LedgerEvent]) -> _Event:
    event = each.fact.data
    assert isinstance(event, TokensReserved | UsageSettled | ReservationReleased | ReservationExpired)
    return event


def _row(each: PageEvent[LedgerEvent]) -> tuple[object, ...]:
    event = _event(each)
    call = (event.reservation_id, each.account_id, each.position)
    ending: tuple[object, ...] = ("", "", 0, 0, 0, 0, 0, 0, 0)
    rest: tuple[object, ...] = (None, False, None, "", "")
    settlement = 0
    match event:
        case UsageSettled():
            state, settlement = CallState.SETTLED, int(event.corrects_billable_tokens is None)
            usage = event.usage
            ending = (
                event.usage_source.value,
                event.outcome.value,
                event.status,
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.cached_prompt_tokens,
                usage.cache_write_tokens,
                usage.reasoning_tokens,
                event.cost_usd_micros,
            )
            rates = None if event.unreserved_rates is None else encode(event.unreserved_rates).decode()
            rest = (event.price_known, event.unreserved, rates, event.catalog_version, event.content_hash)
        case ReservationReleased():
            state = CallState.RELEASED
        case ReservationExpired():
            state = CallState.EXPIRED
        case TokensReserved():
            state = CallState.OPEN
    times = (_began(each), _aware(each.fact.time))
    return (*call, state.value, event.model, event.endpoint, *times, settlement, *ending, *rest)


def _began(each: PageEvent[LedgerEvent]) -> datetime:
    """When the call began; none begins after it was told of, whatever a gateway's clock says."""
    event, told_at = _event(each), _aware(each.fact.time)
    match event:
        case UsageSettled() | ReservationReleased():
            return min(_aware(event.started_at), told_at)
        case ReservationExpired(reserved_at=datetime() as reserved_at):
            return min(_aware(reserved_at), told_at)
        case _:
            return told_at


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
