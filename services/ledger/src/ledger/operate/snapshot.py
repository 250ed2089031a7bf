"""Walks the whole log once, in one snapshot, over as many processes as pay."""

import asyncio
import contextlib
import multiprocessing
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from hashlib import sha256
from heapq import merge
from typing import Final

import asyncpg
from contracts.errors import UnavailableError
from msgspec import Struct

from ledger.operate.partition import (
    Extent,
    PartitionReport,
    PartitionRequest,
    Suspect,
    run_partition,
    walk_partition,
)
from ledger.operate.problems import Problem, Problems
from ledger.store.log import Share, connect

MAX_PROCESSES: Final = 4
EVENTS_WORTH_A_PROCESS: Final = 50_000
WALK_TIMEOUT_SECONDS: Final = 6 * 3600.0


class Checkpoint(Struct, frozen=True, forbid_unknown_fields=True):
    """What the log was: kept elsewhere, it shows later that no end was cut off, state and all.

    `digest` is SHA-256 over "account version hash" of every account's last event, one line each, by account id.
    """

    position: int
    events: int
    digest: str


class Survey(Struct, frozen=True):
    """What the walk of the whole log found; `marked` is the log up to the mark, if there was one."""

    accounts: int
    whole: Checkpoint
    marked: Checkpoint | None
    problems: list[Problem]
    problem_count: int
    suspects: list[Suspect]


class Snapshot:
    """One moment of the database; log, accounts and holds belong together in it, whatever traffic does meanwhile."""

    def __init__(self, connection: asyncpg.Connection, database_url: str, exported: str) -> None:
        self.connection = connection
        self._database_url = database_url
        self._exported = exported

    async def survey(
        self, *, checked: bool, accounts: bool = True, holds: bool = True, mark: int | None = None
    ) -> Survey:
        """Fold all events and compare them with the live rows."""
        last_position = await self.connection.fetchval("SELECT coalesce(max(position), 0) FROM ledger.events")
        processes = max(1, min(MAX_PROCESSES, _usable_cores(), last_position // EVENTS_WORTH_A_PROCESS))
        requests = [
            PartitionRequest(
                self._database_url, self._exported, Share(processes, number), checked, accounts, holds, mark
            )
            for number in range(processes)
        ]
        async with asyncio.timeout(WALK_TIMEOUT_SECONDS):
            return _combined(await _run(requests))


@contextlib.asynccontextmanager
async def open_snapshot(database_url: str) -> AsyncIterator[Snapshot]:
    """Hold one moment of the database for the length of the block; it keeps vacuum from cleaning what is newer."""
    connection = await connect(database_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield Snapshot(connection, database_url, await connection.fetchval("SELECT pg_export_snapshot()"))
    finally:
        connection.terminate()


def checkpoint_of(extents: Sequence[Extent]) -> Checkpoint:
    """The checkpoint of a log that was walked in shares."""
    digest = sha256()
    for head in merge(*(extent.heads for extent in extents)):
        digest.update(f"{head.account_id} {head.version} {head.hash.hex()}\n".encode())
    return Checkpoint(
        position=max(extent.last_position for extent in extents),
        events=sum(extent.events for extent in extents),
        digest=digest.hexdigest(),
    )


async def _run(requests: list[PartitionRequest]) -> list[PartitionReport]:
    if len(requests) == 1:
        return [await walk_partition(requests[0])]
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(len(requests), mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return await asyncio.gather(*(loop.run_in_executor(pool, run_partition, request) for request in requests))
        except BrokenProcessPool as error:
            raise UnavailableError("a process of the walk died; nothing was changed") from error


def _combined(reports: list[PartitionReport]) -> Survey:
    problems = Problems()
    for report in reports:
        problems.merge(report.problems, report.problem_count)
    suspects = (suspect for report in reports for suspect in report.suspects)
    marked = [report.marked for report in reports if report.marked is not None]
    return Survey(
        accounts=sum(len(report.extent.heads) for report in reports),
        whole=checkpoint_of([report.extent for report in reports]),
        marked=checkpoint_of(marked) if marked else None,
        problems=problems.first(),
        problem_count=problems.count,
        suspects=sorted(suspects, key=lambda suspect: suspect.account_id),
    )


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
