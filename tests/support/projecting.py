"""Projectors at work, in this process or as the real one, beside calls that are made meanwhile."""

import asyncio
import contextlib
import os
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.projections.catalog import PROJECTIONS
from ledger.projections.projection import Projection
from ledger.projections.usage import USAGE
from ledger.projector.leading import Projector
from local_run.ports import any_free

from tests.support.eventually import eventually
from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import reserve_tokens, settle_usage
from tests.support.ledger_history import roomy_policy

FIGURES: Final = ("calls", "prompt_tokens", "completion_tokens", "billable_tokens", "cost_usd_micros")
_TOLD: Final = f"SELECT {', '.join(f'coalesce(sum({name}), 0)::bigint' for name in FIGURES)} FROM projections.usage"
# What the log says, without any of the code that is tested: settlements, and holds that were charged and never settled.
_TRUTH: Final = """
WITH event AS (
    SELECT account_id, type, convert_from(data, 'UTF8')::jsonb -> 'data' AS data FROM ledger.events
), settled AS (
    SELECT * FROM event WHERE type = 'solaris.ledger.usage_settled.v1'
), expired AS (
    SELECT * FROM event WHERE type = 'solaris.ledger.reservation_expired.v1' AND NOT EXISTS (
        SELECT FROM settled WHERE settled.account_id = event.account_id
        AND settled.data ->> 'reservation_id' = event.data ->> 'reservation_id'
    )
), charged AS (TABLE settled UNION ALL TABLE expired)
SELECT
    (SELECT count(*) FROM charged),
    (SELECT coalesce(sum((data #>> '{usage,prompt_tokens}')::bigint), 0)::bigint FROM settled),
    (SELECT coalesce(sum((data #>> '{usage,completion_tokens}')::bigint), 0)::bigint FROM settled),
    (SELECT coalesce(sum((data ->> 'billable_tokens')::bigint), 0)::bigint FROM charged),
    (SELECT coalesce(sum((data ->> 'cost_usd_micros')::bigint), 0)::bigint FROM settled)
"""


@contextlib.asynccontextmanager
async def projecting(database_url: str, projections: Sequence[Projection] = PROJECTIONS) -> AsyncIterator[Projector]:
    """A projector in this process for the length of the block; what it raises fails the test."""
    projector = Projector(database_url, projections)
    task = asyncio.create_task(projector.run())
    try:
        yield projector
    finally:
        projector.stop()
        await asyncio.wait_for(task, 30)


@dataclass(frozen=True)
class ProjectorProcess:
    """`python -m ledger.projector` as a child."""

    process: asyncio.subprocess.Process
    port: int

    async def fetch(self, path: str) -> tuple[int, str]:
        """Status and body of an answer; status 0 where nobody answers."""

        def get() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except OSError as error:
                return 0, str(error)

        return await asyncio.to_thread(get)

    async def is_live(self) -> bool:
        return (await self.fetch("/health/live"))[0] == 200


@contextlib.asynccontextmanager
async def projector_process(
    database_url: str, nats_url: str = "", environment: Mapping[str, str] | None = None
) -> AsyncIterator[ProjectorProcess]:
    """`python -m ledger.projector`, once it works; whoever leaves it running has it stopped, and it must end well."""
    port = any_free()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "ledger.projector"),
        env={
            "PATH": os.environ["PATH"],
            "SOLARIS_DATABASE_URL": database_url,
            "SOLARIS_PROJECTOR_PORT": str(port),
            "SOLARIS_NATS_URL": nats_url,
            **(environment or {}),
        },
    )
    try:
        started = ProjectorProcess(process, port)
        await eventually(started.is_live, 30, message="the projector works")
        yield started
        if process.returncode is None:
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Calls:
    """Calls that people make, reserved and settled by the very executor of the ledger, until the block ends."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._number = 0
        self.stopping = asyncio.Event()

    async def make(self, number: int) -> None:
        """So many, one after the other."""
        for _ in range(number):
            self._number += 1
            account_id, reservation_id = f"account-{self._number % 9:05}", f"call-{self._number}"
            reserve = reserve_tokens(account_id, reservation_id, prompt=9, maximum=3)
            await self._executor.submit(reserve, Kind.RESERVE)
            usage = usage_recorded(reservation_id, prompt=5 + self._number % 4, completion=2)
            await self._executor.submit(settle_usage(account_id, usage), Kind.USAGE)

    async def make_until_stopped(self) -> None:
        while not self.stopping.is_set():
            await self.make(1)


@contextlib.asynccontextmanager
async def calls(database_url: str) -> AsyncIterator[Calls]:
    """For tests that make them when they want to."""
    async with Executor(database_url, roomy_policy()) as executor:
        yield Calls(executor)


@contextlib.asynccontextmanager
async def traffic(database_url: str) -> AsyncIterator[Calls]:
    """Calls that go on through the whole block."""
    async with calls(database_url) as made:
        going_on = asyncio.create_task(made.make_until_stopped())
        try:
            yield made
        finally:
            made.stopping.set()
            await going_on


async def caught_up(connection: asyncpg.Connection, name: str = "usage", timeout_seconds: float = 25.0) -> None:
    """Wait until what is read has all that is stored."""

    async def is_caught_up() -> bool:
        found: bool | None = await connection.fetchval(
            "SELECT position >= (SELECT coalesce(max(position), 0) FROM ledger.events)"
            " FROM projections.tracks WHERE name = $1 AND state = 'live'",
            name,
        )
        return bool(found)

    await eventually(is_caught_up, timeout_seconds, message=f"{name} has caught up")


async def live_track(connection: asyncpg.Connection, name: str = "usage") -> tuple[int, int] | None:
    """Its number and its version."""
    row: Any = await connection.fetchrow(  # Any: one row, which is there
        "SELECT track_id, version FROM projections.tracks WHERE name = $1 AND state = 'live'", name
    )
    return None if row is None else tuple(row)


async def tables_there(connection: asyncpg.Connection, name: str = "usage") -> set[str]:
    """Those of all tracks of a projection."""
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'projections'")
    return {row[0] for row in rows if row[0].startswith(f"{name}_v")}


def usage_tables(track_id: int, version: int) -> set[str]:
    """Those that such a track of usage has."""
    return {f"usage_v{version}_{track_id}{shape.suffix}" for shape in USAGE.shapes}


async def assert_usage_is_right(connection: asyncpg.Connection) -> None:
    """Sums of usage are sums of the settlements that the log has."""
    (told,), (truth,) = await connection.fetch(_TOLD), await connection.fetch(_TRUTH)
    assert tuple(told) == tuple(truth)
    assert told[0] > 0
