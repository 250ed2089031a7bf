"""`python -m bench.projecting [--events N] [--accounts N]`: how fast all projections are built from a log of that size.

On a Postgres of its own, by a process of its own, from nothing to all projections being read. One JSON object on
standard output; it is measured by hand, with several sizes where memory is to be shown flat.
"""

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import asyncpg
import uvloop
from chassis.migrations import migrate
from ledger.projections.catalog import PROJECTIONS
from ledger.projector.leading import Projector
from local_run.servers.postgres import running_postgres

from bench import resources
from bench.processes import REPOSITORY
from bench.progress import say
from tests.support.eventually import eventually
from tests.support.ledger_history import write_history

_BUILT_SECONDS: Final = 3_600.0
_ARE_BUILT: Final = """
SELECT count(*) FROM projections.tracks
WHERE state = 'live' AND position >= (SELECT max(position) FROM ledger.events)
"""


async def _measure(events: int, accounts: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="solaris-projecting-") as directory:
        async with running_postgres(Path(directory) / "postgres") as server:
            url = server.url("postgres")
            await migrate(url, "ledger")
            say(f"writing {events:,} events of {accounts:,} accounts")
            written = await write_history(url, accounts=accounts, events=events, mixed=True)
            connection = await asyncpg.connect(url)
            await connection.execute("VACUUM ANALYZE")
            await connection.execute("CHECKPOINT")
            pid = server.leftover_pid()
            assert pid is not None, "it runs"
            before = resources.cpu_seconds(pid)
            say("building")
            built = await asyncio.to_thread(_build_apart, url)
            used = resources.cpu_seconds(pid) - before
            names = [projection.name for projection in PROJECTIONS]
            rows = {name: await connection.fetchval(f"SELECT count(*) FROM projections.{name}") for name in names}
            await connection.close()
    return {
        "events": written,
        "accounts": accounts,
        "events_per_second": int(written / built["seconds"]),
        **built,
        "postgres_cpu_seconds": round(used, 2),
        "rows": rows,
    }


def _build_apart(url: str) -> dict[str, float]:
    # In a process of its own, so that its largest memory is that of the projector alone.
    command = (sys.executable, "-m", "bench.projecting", "--build", url)
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, timeout=_BUILT_SECONDS, check=True)
    built: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return built


async def _build(url: str) -> dict[str, float]:
    connection = await asyncpg.connect(url)
    projector = Projector(url, PROJECTIONS)
    memory_before, started = resources.memory(os.getpid()).peak_mb, time.perf_counter()
    building = asyncio.create_task(projector.run())

    async def are_built() -> bool:
        return bool(await connection.fetchval(_ARE_BUILT) == len(PROJECTIONS))

    await eventually(are_built, _BUILT_SECONDS, message="all projections are built")
    seconds = time.perf_counter() - started
    projector.stop()
    await building
    await connection.close()
    return {
        "seconds": round(seconds, 2),
        "projector_cpu_seconds": round(time.process_time(), 2),
        "peak_memory_mb": round(resources.memory(os.getpid()).peak_mb, 1),
        "of_it_before": round(memory_before, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--build", default=None, help="internal: build from the log in the database of this address")
    asked = parser.parse_args()
    if asked.build:  # as the service itself has it (chassis.service)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
    found = uvloop.run(_build(asked.build) if asked.build else _measure(asked.events, asked.accounts))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
