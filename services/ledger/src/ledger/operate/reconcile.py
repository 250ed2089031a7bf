"""The verb that compares what others say of the calls with the log."""

import sys
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import asyncpg
from chassis.operate.errors import BadInputError, RefusedError
from chassis.operate.options import option, switch, text

from ledger.operate.database import open_ledger
from ledger.operate.options import day, one_of
from ledger.operate.reconciliation_report import write_corrected, write_due, write_reconciled
from ledger.operate.reports import FormatOrFitting
from ledger.operate.settings import load_settings
from ledger.reconciliation.due import due_runs, next_due
from ledger.reconciliation.provider_files import ExportError, read_export
from ledger.reconciliation.running import Reconciled, correction_pages, reconcile_calls, reconcile_sums
from ledger.reconciliation.spend_logs import SpendLogs, SpendLogsError
from ledger.settings import LedgerSettings
from ledger.store.reconciliation.rows import RunKey, Source, Trigger
from ledger.store.reconciliation.runs import latest_run, load_time, prune_runs, run_of, take_turn
from ledger.store.reconciliation.upstream_calls import first_told, prune_calls

PAGE_TIMEOUT_SECONDS: Final = 600.0
"""For one statement, the longest of which sorts a month of calls."""
MOST_DAYS: Final = 400
MAX_PATH_LENGTH: Final = 4_096
BEYOND: Final = 1


def _percent(typed: str) -> float:
    try:
        found = float(typed) if typed.replace(".", "", 1).isdigit() else -1.0
    except ValueError:
        found = -1.0
    if not 0 <= found <= 100:
        raise ValueError("a percentage from 0 to 100, such as 0.5")
    return found


async def reconcile(
    *,
    first_day: Annotated[date | None, option("--from", parse=day, help="first day, in UTC")] = None,
    last_day: Annotated[date | None, option("--to", parse=day, help="last day, in UTC")] = None,
    source: Annotated[
        Source | None, option("--source", parse=one_of(Source), help="litellm (what it told) or spend-logs")
    ] = None,
    file: Annotated[
        str | None, option("--file", parse=text(MAX_PATH_LENGTH), help="a provider's usage export, CSV or JSON")
    ] = None,
    threshold: Annotated[
        float | None, option("--threshold", parse=_percent, help="percent by which figures may differ")
    ] = None,
    format: FormatOrFitting = None,  # noqa: A002  as it is typed
    correct: Annotated[
        str | None, option("--correct", parse=switch, help="1 puts right what can be, then compares again")
    ] = None,
    due: Annotated[
        str | None, option("--due", parse=switch, help="1 does what is due by time, and nothing else")
    ] = None,
) -> int:
    """Compares other sides' figures with the log; exit 1 where they differ by more than the threshold."""
    settings = load_settings()
    if threshold is None:
        threshold = settings.reconcile_threshold
    async with open_ledger(statement_timeout_seconds=PAGE_TIMEOUT_SECONDS) as connection:
        if due:
            await _do_what_is_due(connection, settings)
            return 0
        now = await load_time(connection)
        if file is not None:
            if source is not None or correct is not None:
                raise BadInputError("FILE: without SOURCE and CORRECT; a provider tells no single calls")
            reconciled = await _against_file(connection, Path(file), first_day, last_day, threshold)
        else:
            wanted = source or Source.CALLBACK
            first, last = _days(first_day, last_day, now)
            if wanted is Source.SPEND_LOGS:
                await _spend_logs(settings, connection, first, last, now)
            key = RunKey(trigger=Trigger.OPERATOR, source=wanted.value, first_day=first, last_day=last)
            if correct:
                await _correct(connection, settings, key, wanted)
            made = await reconcile_calls(connection, key, wanted, threshold)
            assert made is not None, "an operator's run is always a new one"
            reconciled = made
        await write_reconciled(connection, format, reconciled)
    return 0 if reconciled.run.within_threshold else BEYOND


def _days(first: date | None, last: date | None, now: datetime) -> tuple[date, date]:
    """Both included; without any, yesterday, which is the last day that is over."""
    yesterday = now.astimezone(UTC).date() - timedelta(days=1)
    if first is None:
        first = last or yesterday
    if last is None:
        last = max(first, yesterday)
    if first > last:
        raise BadInputError("FROM: not after TO")
    if (last - first).days >= MOST_DAYS:
        raise BadInputError(f"FROM and TO: at most {MOST_DAYS} days")
    return first, last


async def _against_file(
    connection: asyncpg.Connection, path: Path, first: date | None, last: date | None, threshold: float
) -> Reconciled:
    """Of the days that the file tells of, unless others were asked for."""
    try:
        provided = read_export(path)
    except ExportError as error:
        raise BadInputError(f"FILE: {error}") from None
    told = [told_day for told_day, _ in provided]
    if not told and first is None:
        raise BadInputError("FILE: it tells of no day; give FROM and TO")
    first = first or last or min(told)
    last = last or max(first, *told) if told else last or first
    if first > last or (last - first).days >= MOST_DAYS:
        raise BadInputError(f"FROM and TO: in that order, at most {MOST_DAYS} days")
    wanted = {line: sums for line, sums in provided.items() if first <= line[0] <= last}
    key = RunKey(trigger=Trigger.OPERATOR, source=f"file:{path.name[:200]}", first_day=first, last_day=last)
    return await reconcile_sums(connection, key, wanted, threshold)


async def _spend_logs(
    settings: LedgerSettings, connection: asyncpg.Connection, first: date, last: date, now: datetime
) -> None:
    if settings.litellm_url is None or settings.litellm_key is None:
        raise RefusedError("SOLARIS_LITELLM_URL and SOLARIS_LITELLM_KEY are not set: they say where its log is read")
    logs = SpendLogs(settings.litellm_url, settings.litellm_key.get_secret_value())
    try:
        await logs.fetch(connection, first, last, now)
    except SpendLogsError as error:
        raise RefusedError(str(error)) from error
    if logs.refused:
        why = logs.refused_for[:200]
        sys.stderr.write(f"{logs.refused} rows of LiteLLM's log can't be read, and are left out: {why}\n")


async def _correct(connection: asyncpg.Connection, settings: LedgerSettings, key: RunKey, source: Source) -> None:
    # Only who corrects loads the rules.
    from chassis.operate.database import open_engine  # noqa: PLC0415

    from ledger.catalog_file import load_policy  # noqa: PLC0415
    from ledger.operate.executing import open_executor  # noqa: PLC0415
    from ledger.reconciliation.corrections import correct  # noqa: PLC0415

    policy = load_policy(settings)
    async with (
        open_engine("ledger") as engine,
        open_executor(settings, policy, connection) as executor,
        aclosing(correction_pages(connection, key, source)) as pages,
    ):
        write_corrected(await correct(executor, engine, pages))


async def _do_what_is_due(connection: asyncpg.Connection, settings: LedgerSettings) -> None:
    """Each run once, whoever asks; another process that is at it is not waited for."""
    now = await load_time(connection)
    spend_logs = settings.litellm_url is not None and settings.litellm_key is not None
    sources = (Source.CALLBACK, Source.SPEND_LOGS) if spend_logs else (Source.CALLBACK,)
    if await take_turn(connection):
        for source in sources:
            await _make_due(connection, settings, source, now)
        # A database whose clock is ahead must not have them deleted.
        kept = min(now, datetime.now(UTC)) - timedelta(days=settings.reconcile_keep_days)
        await prune_calls(connection, kept)
        await prune_runs(connection, kept)
    kinds = [(trigger, source) for trigger in (Trigger.NIGHTLY, Trigger.MONTHLY) for source in sources]
    latest = [run for trigger, source in kinds if (run := await latest_run(connection, trigger, source))]
    write_due(latest, (next_due(now) - now).total_seconds())


async def _make_due(connection: asyncpg.Connection, settings: LedgerSettings, source: Source, now: datetime) -> None:
    if source is Source.SPEND_LOGS:
        yesterday = now.astimezone(UTC).date() - timedelta(days=1)
        await _spend_logs(settings, connection, yesterday, yesterday, now)
    first = await first_told(connection, source)
    if first is None:  # nobody has ever told anything: there is nothing to compare with
        return
    first_day = first.astimezone(UTC).date()
    if source is Source.CALLBACK:  # it began to tell within that day, of whose calls some are not told
        first_day += timedelta(days=1)
    for key in due_runs(now, source.value, first_day):
        if await run_of(connection, key) is None:
            if source is Source.SPEND_LOGS:  # after a standstill nobody has asked for those of more days than one
                await _spend_logs(settings, connection, key.first_day, key.last_day, now)
            await reconcile_calls(connection, key, source, settings.reconcile_threshold)
