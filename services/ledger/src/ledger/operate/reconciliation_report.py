"""How a reconciliation is printed: sums by kind, day and model, and what was found."""

import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, date

import asyncpg
from chassis.operate.output import write_line
from chassis.operate.spreadsheet import write_rows, write_text
from chassis.operate.table import Cell
from msgspec import structs

from ledger.operate.reports import TOTAL, Format
from ledger.operate.seen import seen_table
from ledger.reconciliation.corrections import Corrected
from ledger.reconciliation.running import Reconciled
from ledger.store.reconciliation.rows import Finding, Run, Sums
from ledger.store.reconciliation.runs import load_findings

SHOWN_FINDINGS = 50
SHOWN_LINES = 40
"""Of a table of models, days or accounts: those that differ most."""
_SUMS = (*Sums._fields, "difference_percent")
_COLUMNS = (
    "kind",
    "reason",
    "correctable",
    "call_id",
    "account_id",
    "model",
    "day",
    "our_prompt_tokens",
    "our_completion_tokens",
    "their_prompt_tokens",
    "their_completion_tokens",
    "our_cost_usd_micros",
    "their_cost_usd_micros",
)
_SUMMED = _COLUMNS[7:]


async def write_reconciled(
    connection: asyncpg.Connection,
    format: Format | None,  # noqa: A002  as it is typed
    reconciled: Reconciled,
) -> None:
    """A person sees sums and the first findings; lines and spreadsheets have all that are kept."""
    match format or (Format.TABLE if sys.stdout.isatty() else Format.JSON):
        case Format.TABLE:
            await _write_table(connection, reconciled)
        case Format.CSV:
            await write_rows(_COLUMNS, _rows_with_total(connection, reconciled.run))
        case Format.JSON:
            await _write_lines(connection, reconciled)


def write_corrected(corrected: Corrected) -> None:
    """On standard error: what comes after it on standard output is how things stand then."""
    sys.stderr.write(
        f"corrected {corrected.corrected}, unchanged {corrected.unchanged}, refused {corrected.refused}"
        f"{' (see dead-letters)' if corrected.refused else ''}\n"
    )


def write_due(latest: Sequence[Run], due_in_seconds: float) -> None:
    """For the process that has it done: the last run of each kind and source, and when to ask again."""
    write_line({"due_in_seconds": due_in_seconds, "latest": [_run(run) for run in latest]})


async def _write_table(connection: asyncpg.Connection, reconciled: Reconciled) -> None:
    run, totals = reconciled.run, reconciled.totals
    key, sums = run.key, run.sums
    write_text(f"{key.source}, {key.first_day} to {key.last_day} (UTC), run {run.run_id}\n\n")
    if sums.calls and sums.calls == sums.missing_there:
        write_text(f"{key.source} told nothing of these days: is it set up?\n\n")
    for name, lines in (("day", totals.days), ("model", totals.models), ("account", totals.accounts)):
        if lines:
            write_text(seen_table((name, *_SUMS), list(_lines(lines)), UTC) + "\n")
    shown: list[tuple[Cell, ...]] = []
    correctable = 0
    async with aclosing(load_findings(connection, run.run_id)) as findings:
        async for finding in findings:
            correctable += finding.correctable
            if len(shown) < SHOWN_FINDINGS:
                shown.append(tuple(_cell(value) for value in _record(finding).values()))
    if shown:
        write_text(seen_table(_COLUMNS, shown, UTC))
        found = sums.different + sums.missing_there + sums.missing_here
        if found > len(shown):
            write_text(f"and {found - len(shown):,} more: FORMAT=csv or FORMAT=json\n")
        if correctable:
            write_text(f"{correctable:,} can be put right: CORRECT=1\n")
    verdict = "within" if run.within_threshold else "MORE THAN"
    # Summed up are costs that both sides tell.
    is_priced = sums.our_cost_usd_micros or sums.their_cost_usd_micros
    cost = f"{run.cost_difference_percent:g} % of cost" if is_priced else "no cost to compare"
    write_text(f"differs by {run.difference_percent:g} % of tokens and {cost}, {verdict} {run.threshold_percent:g} %\n")


async def _write_lines(connection: asyncpg.Connection, reconciled: Reconciled) -> None:
    """Findings, then sums, then the run itself, each told by its `record`."""
    async with aclosing(load_findings(connection, reconciled.run.run_id)) as findings:
        async for finding in findings:
            write_line({"record": "finding", **_record(finding)})
    totals = reconciled.totals
    for name, lines in (("day", totals.days), ("model", totals.models), ("account", totals.accounts)):
        for of, sums in lines.items():
            write_line({"record": name, name: str(of), **_sums(sums)})
    write_line({"record": "run", **_run(reconciled.run)})


async def _rows_with_total(connection: asyncpg.Connection, run: Run) -> AsyncGenerator[Mapping[str, object]]:
    totals = dict.fromkeys(_SUMMED, 0)
    async with aclosing(load_findings(connection, run.run_id)) as findings:
        async for finding in findings:
            record = _record(finding)
            for name in _SUMMED:
                value = record[name]
                totals[name] += value if isinstance(value, int) else 0
            yield record
    yield dict.fromkeys(_COLUMNS) | {"kind": TOTAL} | totals


def _lines(lines: Mapping[date, Sums] | Mapping[str, Sums]) -> Iterator[tuple[Cell, ...]]:
    """With their total; of accounts there are only those that something is found of."""
    named = [(str(of), sums) for of, sums in lines.items()]
    most = sorted(named, key=lambda line: (-line[1].differing_tokens, line[0]))
    for of, sums in most[:SHOWN_LINES]:
        yield (of or "(none)", *sums, f"{sums.difference_percent:g}")
    if len(most) > SHOWN_LINES:
        yield (f"({len(most) - SHOWN_LINES} others)", *[None for _ in _SUMS])
    whole = Sums()
    for sums in lines.values():
        whole = whole.plus(sums)
    yield (TOTAL, *whole, f"{whole.difference_percent:g}")


def _record(finding: Finding) -> dict[str, object]:
    ours, theirs = finding.ours, finding.theirs
    return {
        "kind": finding.kind.value,
        "reason": finding.reason,
        "correctable": finding.correctable,
        "call_id": finding.call_id,
        "account_id": finding.account_id,
        "model": finding.model,
        "day": finding.day.isoformat(),
        "our_prompt_tokens": None if ours is None else ours.prompt,
        "our_completion_tokens": None if ours is None else ours.completion,
        "their_prompt_tokens": None if theirs is None else theirs.prompt,
        "their_completion_tokens": None if theirs is None else theirs.completion,
        "our_cost_usd_micros": finding.our_cost_usd_micros,
        "their_cost_usd_micros": finding.their_cost_usd_micros,
    }


def _sums(sums: Sums) -> dict[str, object]:
    return {
        **sums._asdict(),
        "difference_percent": sums.difference_percent,
        "cost_difference_percent": sums.cost_difference_percent,
    }


def _run(run: Run) -> dict[str, object]:
    told = {name: value for name, value in structs.asdict(run).items() if name not in {"key", "sums"}}
    return {**structs.asdict(run.key), **told, **run.sums._asdict()}


def _cell(value: object) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else ""
    return value if isinstance(value, int | str) or value is None else str(value)
