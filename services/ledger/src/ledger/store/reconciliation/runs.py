"""Reconciliations that were made: each a row with its sums, and its findings beside."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Final

import asyncpg
from chassis.locks import RECONCILIATION
from msgspec import json

from ledger.store.reconciliation.rows import Finding, Kind, Run, RunKey, Source, Sums, Tokens, Trigger
from ledger.store.reconciliation.upstream_calls import Connection

MAX_FINDINGS: Final = 100_000
"""Of one run that are kept; its sums are of all."""
FETCHED_ROWS: Final = 1_000

_BEGIN: Final = """
INSERT INTO reconciliation.runs (trigger, source, first_day, last_day, threshold_percent)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING run_id
"""
_END: Final = """
UPDATE reconciliation.runs SET ended_at = clock_timestamp(), difference_percent = $2, cost_difference_percent = $3,
    within_threshold = $4, findings_left_off = $5, sums = $6
WHERE run_id = $1
RETURNING ended_at
"""
_KEEP: Final = """
INSERT INTO reconciliation.findings (
    run_id, number, kind, reason, correctable, call_id, account_id, model, day, our_prompt_tokens,
    our_completion_tokens, their_prompt_tokens, their_completion_tokens, our_cost_usd_micros, their_cost_usd_micros
) SELECT $1, * FROM unnest(
    $2::integer[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[], $9::date[],
    $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[]
)
"""
_FINDINGS: Final = """
SELECT number, kind, reason, correctable, call_id, account_id, model, day, our_prompt_tokens, our_completion_tokens,
    their_prompt_tokens, their_completion_tokens, our_cost_usd_micros, their_cost_usd_micros
FROM reconciliation.findings WHERE run_id = $1 AND number > $2 ORDER BY number LIMIT $3
"""
_RUN: Final = """
SELECT run_id, trigger, source, first_day, last_day, ended_at, sums, difference_percent, cost_difference_percent,
    threshold_percent, within_threshold
FROM reconciliation.runs
"""
_LATEST: Final = f"{_RUN} WHERE trigger = $1 AND source = $2 ORDER BY run_id DESC LIMIT 1"
_DONE: Final = f"{_RUN} WHERE trigger = $1 AND source = $2 AND first_day = $3 AND last_day = $4"
_PRUNE: Final = "DELETE FROM reconciliation.runs WHERE ended_at < $1"
_TAKE_TURN: Final = f"SELECT pg_try_advisory_lock({RECONCILIATION})"
_NOW: Final = "SELECT clock_timestamp()"

_decode_sums: Final = json.Decoder(dict[str, int]).decode


async def begin_run(connection: asyncpg.Connection, key: RunKey, threshold_percent: float) -> int | None:
    """The number of a run, in the caller's transaction; None where one by time has been made already."""
    run_id: int | None = await connection.fetchval(
        _BEGIN, key.trigger.value, key.source, key.first_day, key.last_day, threshold_percent
    )
    return run_id


async def end_run(
    connection: asyncpg.Connection, run_id: int, key: RunKey, sums: Sums, *, threshold_percent: float, left_off: int
) -> Run:
    """What it came to. It is within the threshold if tokens and costs are."""
    tokens, cost = sums.difference_percent, sums.cost_difference_percent
    within = max(tokens, cost) <= threshold_percent
    encoded = json.encode(sums._asdict()).decode()
    ended_at: datetime = await connection.fetchval(_END, run_id, tokens, cost, within, left_off, encoded)
    return Run(
        run_id=run_id,
        key=key,
        ended_at=ended_at,
        sums=sums,
        difference_percent=tokens,
        cost_difference_percent=cost,
        threshold_percent=threshold_percent,
        within_threshold=within,
    )


async def keep_findings(connection: asyncpg.Connection, run_id: int, first: int, findings: Sequence[Finding]) -> None:
    """Numbered from `first` on."""
    if findings:
        rows = [_row(number, finding) for number, finding in enumerate(findings, start=first)]
        await connection.execute(_KEEP, run_id, *map(list, zip(*rows, strict=True)))


async def load_findings(connection: asyncpg.Connection, run_id: int) -> AsyncGenerator[Finding]:
    """Those of a run that were kept, in the order of their numbers."""
    last = 0
    while rows := await connection.fetch(_FINDINGS, run_id, last, FETCHED_ROWS):
        for row in rows:
            yield Finding(
                kind=Kind(row[1]),
                reason=row[2],
                correctable=row[3],
                call_id=row[4],
                account_id=row[5],
                model=row[6],
                day=row[7],
                ours=None if row[8] is None else Tokens(row[8], row[9]),
                theirs=None if row[10] is None else Tokens(row[10], row[11]),
                our_cost_usd_micros=row[12],
                their_cost_usd_micros=row[13],
            )
        last = rows[-1][0]


async def latest_run(connection: Connection, trigger: Trigger, source: Source) -> Run | None:
    row = await connection.fetchrow(_LATEST, trigger.value, source.value)
    return None if row is None else _run(row)


async def run_of(connection: Connection, key: RunKey) -> Run | None:
    """The run by time of those days, if it was made."""
    row = await connection.fetchrow(_DONE, key.trigger.value, key.source, key.first_day, key.last_day)
    return None if row is None else _run(row)


async def prune_runs(connection: Connection, before: datetime) -> None:
    """Their findings go with them."""
    await connection.execute(_PRUNE, before)


async def take_turn(connection: asyncpg.Connection) -> bool:
    """Whether this session, until it ends, is the one that reconciles by time."""
    taken: bool = await connection.fetchval(_TAKE_TURN)
    return taken


async def load_time(connection: Connection) -> datetime:
    """By the database's clock."""
    now: datetime = await connection.fetchval(_NOW)
    return now


def _run(row: asyncpg.Record) -> Run:
    return Run(
        run_id=row[0],
        key=RunKey(trigger=Trigger(row[1]), source=row[2], first_day=row[3], last_day=row[4]),
        ended_at=row[5],
        sums=Sums(**_decode_sums(row[6])),
        difference_percent=row[7],
        cost_difference_percent=row[8],
        threshold_percent=row[9],
        within_threshold=row[10],
    )


def _row(number: int, finding: Finding) -> tuple[object, ...]:
    ours, theirs = finding.ours, finding.theirs
    return (
        number,
        finding.kind.value,
        finding.reason,
        finding.correctable,
        finding.call_id,
        finding.account_id,
        finding.model,
        finding.day,
        *((None, None) if ours is None else ours[:2]),
        *((None, None) if theirs is None else theirs[:2]),
        finding.our_cost_usd_micros,
        finding.their_cost_usd_micros,
    )
