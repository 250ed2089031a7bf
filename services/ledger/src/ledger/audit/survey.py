"""Walks the whole log once, up to what it is now, over as many processes as pay."""

import asyncio
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import timedelta
from itertools import pairwise
from typing import Final

import asyncpg
from contracts.errors import UnavailableError
from msgspec import Struct

from ledger.audit.checkpoints.document import Document
from ledger.audit.differences import Differences, Projection
from ledger.audit.extent import Checkpoint, checkpoint_of
from ledger.audit.partition import PartitionReport, PartitionRequest, run_partition, walk_partition
from ledger.audit.problems import Problems
from ledger.store.log import AFTER_ALL_ACCOUNTS, AccountRange, connect, newest_position, sample_accounts
from ledger.store.projections import has_more_accounts
from ledger.store.retention import holds_kept_since

MAX_PROCESSES: Final = 4
EVENTS_WORTH_A_PROCESS: Final = 50_000
SAMPLE: Final = 400
SMALL_EVENTS: Final = 2_000_000
SMALL_ACCOUNTS: Final = 10_000
"""Up to here a log is folded as it lies: faster by a quarter, with some 15 MB of accounts at most."""
WALK_TIMEOUT_SECONDS: Final = 24 * 3600.0
WALK: Final = timedelta(seconds=WALK_TIMEOUT_SECONDS)
"""While it goes on, holds become so much older: those that may leave meanwhile are summed up nowhere."""


class Survey(Struct, frozen=True):
    """What the walk of the whole log found; `marked` is the log as it was at the checkpoint that was given."""

    accounts: int
    whole: Checkpoint
    marked: Checkpoint | None
    problems: Problems
    differences: Differences


async def survey(
    database_url: str,
    *,
    repairing: Projection | None = None,
    checkpoint: Checkpoint | None = None,
    signed: Document | None = None,
) -> Survey:
    """Fold all events that are stored now, account by account, and compare each account with its live rows.

    Without `repairing` everything is checked that the log can tell; with it, the events are folded on their word, and
    what is found to differ from them is repaired. The accounts are compared with a `signed` checkpoint's besides.
    """
    connection = await connect(database_url)
    try:
        newest = await newest_position(connection)
        holds_since = await holds_kept_since(connection) + WALK
        borders = checkpoint.borders if checkpoint else await _borders(connection, newest)
        in_order = repairing is not None and await _is_small(connection, newest)
    finally:
        connection.terminate()
    mark = checkpoint.position if checkpoint else signed.statement.position if signed else None
    edges = ("", *borders, AFTER_ALL_ACCOUNTS)
    requests = [
        PartitionRequest(
            database_url,
            AccountRange(first, end),
            up_to=newest,
            holds_since=holds_since,
            mark=mark,
            signed=signed,
            repairing=repairing,
            in_order=in_order,
        )
        for first, end in pairwise(edges)
    ]
    async with asyncio.timeout(WALK_TIMEOUT_SECONDS):
        return _combined(await _run(requests), borders)


async def _is_small(connection: asyncpg.Connection, newest: int) -> bool:
    return newest <= SMALL_EVENTS and not await has_more_accounts(connection, SMALL_ACCOUNTS)


async def _borders(connection: asyncpg.Connection, newest: int) -> tuple[str, ...]:
    """Account ids that divide the log into about equal parts, one for each process that pays."""
    processes = max(1, min(MAX_PROCESSES, _usable_cores(), newest // EVENTS_WORTH_A_PROCESS))
    if processes == 1:
        return ()
    sample = await sample_accounts(connection, SAMPLE, newest)
    borders = {sample[len(sample) * number // processes] for number in range(1, processes)} if sample else set()
    return tuple(sorted(borders - {sample[0]} if sample else borders))


async def _run(requests: list[PartitionRequest]) -> list[PartitionReport]:
    if len(requests) == 1:
        return [await walk_partition(requests[0])]
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(len(requests), mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return await asyncio.gather(*(loop.run_in_executor(pool, run_partition, request) for request in requests))
        except BrokenProcessPool as error:
            raise UnavailableError("a process of the walk died; run it again") from error


def _combined(reports: list[PartitionReport], borders: tuple[str, ...]) -> Survey:
    problems, differences = Problems(), Differences()
    for report in reports:
        problems.merge(report.problems)
        differences.merge(report.differences)
    marked = [report.marked for report in reports if report.marked is not None]
    return Survey(
        accounts=sum(report.extent.accounts for report in reports),
        whole=checkpoint_of([report.extent for report in reports], borders),
        marked=checkpoint_of(marked, borders) if marked else None,
        problems=problems,
        differences=differences,
    )


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
