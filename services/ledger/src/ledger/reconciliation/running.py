"""Makes a reconciliation: gathers our side, reads both sorted, compares, and keeps what it came to; one transaction."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import date, timedelta
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.domain.commands import SettleUsage
from ledger.reconciliation.comparing import Compared, Reason, compare, differing_tokens, joined
from ledger.reconciliation.corrections import correction_of
from ledger.reconciliation.provider_files import Provided, plain_model
from ledger.reconciliation.totals import Totals
from ledger.store.reconciliation.ledger_calls import gather_calls, load_sums, sorted_ledger_calls
from ledger.store.reconciliation.rows import Finding, Kind, Run, RunKey, Source, Sums
from ledger.store.reconciliation.runs import MAX_FINDINGS, begin_run, end_run, keep_findings, load_time
from ledger.store.reconciliation.upstream_calls import end_of, sorted_calls, utc_midnight

MARGIN: Final = timedelta(hours=1)
"""Clocks of the two sides differ: what is near a day's edge is read too, and counted on the day that we have it on."""
KEPT_TOGETHER: Final = 1_000
CORRECTED_TOGETHER: Final = 100


class Reconciled(Struct, frozen=True):
    """A run that is kept, and its sums, which are not but in parts."""

    run: Run
    totals: Totals


async def reconcile_calls(
    connection: asyncpg.Connection, key: RunKey, source: Source, threshold_percent: float
) -> Reconciled | None:
    """Call by call; None where a run by time was made before. Killed in between, it was never made."""
    async with connection.transaction():
        run_id = await begin_run(connection, key, threshold_percent)
        if run_id is None:
            return None
        starts_at, ends_at = utc_midnight(key.first_day) - MARGIN, end_of(key.last_day) + MARGIN
        await gather_calls(connection, starts_at, ends_at, await load_time(connection))
        keeping = _Keeping(connection, run_id)
        async with (
            aclosing(sorted_ledger_calls(connection)) as ours,
            aclosing(sorted_calls(connection, source, starts_at, ends_at)) as theirs,
            aclosing(joined(ours, theirs)) as pairs,
        ):
            async for pair in pairs:
                await keeping.take(compare(pair), lambda day: key.first_day <= day <= key.last_day)
        return await keeping.end(key, threshold_percent)


async def reconcile_sums(
    connection: asyncpg.Connection, key: RunKey, provided: Mapping[tuple[date, str], Provided], threshold_percent: float
) -> Reconciled:
    """Against what a provider's export says of each UTC day and model."""
    async with connection.transaction():
        run_id = await begin_run(connection, key, threshold_percent)
        assert run_id is not None, "an operator's run is always a new one"
        await gather_calls(connection, utc_midnight(key.first_day), end_of(key.last_day), await load_time(connection))
        ours: dict[tuple[date, str], Provided] = {}
        for day, model, calls, tokens, cost in await load_sums(connection):
            line = (day, plain_model(model))
            ours[line] = ours.get(line, Provided()).plus(Provided(calls, tokens, cost))
        keeping = _Keeping(connection, run_id)
        for line in sorted(ours.keys() | provided.keys()):
            await keeping.take(_compare_sums(line, ours.get(line), provided.get(line)), lambda _: True)
        return await keeping.end(key, threshold_percent)


async def correction_pages(
    connection: asyncpg.Connection, key: RunKey, source: Source
) -> AsyncGenerator[list[SettleUsage]]:
    """What puts right the calls of these days, some at a time, in a transaction that is open until all are taken."""
    page: list[SettleUsage] = []
    async with connection.transaction():
        starts_at, ends_at = utc_midnight(key.first_day) - MARGIN, end_of(key.last_day) + MARGIN
        await gather_calls(connection, starts_at, ends_at, await load_time(connection))
        async with (
            aclosing(sorted_ledger_calls(connection)) as ours,
            aclosing(sorted_calls(connection, source, starts_at, ends_at)) as theirs,
            aclosing(joined(ours, theirs)) as pairs,
        ):
            async for pair in pairs:
                if pair.ours is None or not key.first_day <= pair.ours.started_at.date() <= key.last_day:
                    continue
                if (command := correction_of(pair)) is not None:
                    page.append(command)
                if len(page) >= CORRECTED_TOGETHER:
                    yield page
                    page = []
        if page:
            yield page


class _Keeping:
    """Adds up, and stores findings as they come."""

    def __init__(self, connection: asyncpg.Connection, run_id: int) -> None:
        self._connection = connection
        self._run_id = run_id
        self._totals = Totals()
        self._found: list[Finding] = []
        self._number = 0
        self._left_off = 0

    async def take(self, compared: Compared | None, is_wanted: Callable[[date], bool]) -> None:
        if compared is None or not is_wanted(compared.day):
            return
        self._totals.add(compared)
        if compared.finding is None:
            return
        if self._number + len(self._found) >= MAX_FINDINGS:
            self._left_off += 1
            return
        self._found.append(compared.finding)
        if len(self._found) >= KEPT_TOGETHER:
            await self._keep()

    async def end(self, key: RunKey, threshold_percent: float) -> Reconciled:
        await self._keep()
        whole = self._totals.whole
        run = await end_run(
            self._connection, self._run_id, key, whole, threshold_percent=threshold_percent, left_off=self._left_off
        )
        return Reconciled(run, self._totals)

    async def _keep(self) -> None:
        await keep_findings(self._connection, self._run_id, self._number + 1, self._found)
        self._number += len(self._found)
        self._found = []


def _compare_sums(line: tuple[date, str], ours: Provided | None, theirs: Provided | None) -> Compared:
    """A whole day's calls of a model count as one here: a provider tells no single ones."""
    day, model = line
    mine, other = ours or Provided(), theirs or Provided()
    differing = differing_tokens(mine.tokens, other.tokens)
    if ours is None:
        kind = Kind.MISSING_HERE
    elif theirs is None:
        kind = Kind.MISSING_THERE
    else:
        kind = Kind.DIFFERENT if differing else Kind.MATCHED
    if not differing:
        kind = Kind.MATCHED
    sums = Sums(
        calls=1,
        our_tokens=mine.tokens.total,
        their_tokens=other.tokens.total,
        differing_tokens=differing,
        **{kind.value: 1},
    )
    finding = None
    if kind is not Kind.MATCHED:
        finding = Finding(
            kind=kind,
            reason=Reason.SUMS.value,
            call_id="",
            account_id="",
            model=model,
            day=day,
            ours=None if ours is None else mine.tokens,
            theirs=None if theirs is None else other.tokens,
            our_cost_usd_micros=None if ours is None else mine.cost_usd_micros,
            their_cost_usd_micros=None,
        )
    return Compared(day, model, "", sums, finding)
