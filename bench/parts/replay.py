"""`python -m bench.parts.replay --events N…`: the operator's replay of account states on logs of given sizes, as JSON.

Speed counts the whole command, from its start to its end; memory is that of its largest process.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import asyncpg
import uvloop
from chassis.migrations import migrate
from local_run.servers.postgres import PostgresServer, running_postgres

from bench.processes import REPOSITORY
from bench.progress import say
from tests.support.ledger_history import write_history

ACCOUNTS: Final = 1_000
_REPLAY_SECONDS: Final = 300.0


async def _fill(server: PostgresServer, database: str, events: int) -> str:
    """A database with a log of that size; returns its address."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(server.url("postgres"), timeout=10)
    try:
        await connection.execute(f"CREATE DATABASE {database}")
    finally:
        await connection.close()
    url = server.url(database)
    await migrate(url, "ledger")
    await write_history(url, accounts=ACCOUNTS, events=events)
    await _settle(url)
    return url


async def _settle(database_url: str) -> None:
    """As a log is that has stood for a while: what a server does after so much was written has been done."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(database_url, timeout=10)
    try:
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def _replay(database_url: str) -> dict[str, Any]:
    # In a process of its own between us and the command, so that the largest memory is that of this replay alone.
    measured = subprocess.run(
        (sys.executable, "-m", "bench.parts.replay", "--measure"),
        env={**os.environ, "SOLARIS_DATABASE_URL": database_url, "SOLARIS_NATS_URL": "nats://127.0.0.1:1"},
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        timeout=_REPLAY_SECONDS,
        check=False,
    )
    if measured.returncode != 0:
        sys.exit("the replay failed")
    found: dict[str, Any] = json.loads(measured.stdout)
    return found


def _measure() -> None:
    started = time.perf_counter()
    done = subprocess.run(
        (sys.executable, "-m", "ledger.operate", "replay", "--projection=accounts"), stdout=subprocess.PIPE, check=False
    )
    seconds = time.perf_counter() - started
    if not done.stdout:
        sys.exit(done.returncode or 1)
    told = json.loads(done.stdout.splitlines()[-1])
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "events": told["events"],
        "differences": told["difference_count"],
        "exit_code": done.returncode,
        "seconds": seconds,
        "events_per_second": told["events"] / seconds,
        "told_events_per_second": told["events_per_second"],
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_mb": usage.ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


async def _run(directory: Path, sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    results = []
    async with running_postgres(directory / "postgres") as server:
        for events in sizes:
            say(f"writing a log of {events:,} events")
            url = await _fill(server, f"log_{events}", events)
            results += [await asyncio.to_thread(_replay, url) for _ in range(rounds)]
    return results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--measure", action="store_true", help="internal: measure one replay")
    arguments = parser.parse_args()
    if arguments.measure:
        _measure()
        return
    with tempfile.TemporaryDirectory(dir=arguments.directory, prefix="replay-") as directory:
        results = uvloop.run(_run(Path(directory), arguments.events, arguments.rounds))
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
