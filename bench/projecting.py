"""`python -m bench.projecting [--events N] [--accounts N]`: how fast projections are built from a log of that size.

On a Postgres of its own, from an empty one to all projections being read; it is measured by hand. One JSON object on
standard output.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import asyncpg
from chassis.migrations import migrate
from ledger.projections.catalog import PROJECTIONS
from ledger.projector.leading import Projector
from local_run.servers.postgres import running_postgres

from bench.progress import say
from tests.support.eventually import eventually
from tests.support.ledger_history import write_history

_BUILT_SECONDS: Final = 3_600.0
_ARE_BUILT: Final = """
SELECT count(*) FROM projections.tracks
WHERE state = 'live' AND position >= (SELECT max(position) FROM ledger.events)
"""


async def measure(events: int, accounts: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="solaris-projecting-") as directory:
        async with running_postgres(Path(directory) / "postgres") as server:
            url = server.url("postgres")
            await migrate(url, "ledger")
            say(f"writing {events} events of {accounts} accounts")
            written = await write_history(url, accounts=accounts, events=events)
            memory_before, cpu_before = _memory_mb(), time.process_time()
            seconds, rows = await _build(url)
    return {
        "events": written,
        "accounts": accounts,
        "seconds": round(seconds, 2),
        "events_per_second": int(written / seconds),
        "own_cpu_seconds": round(time.process_time() - cpu_before, 2),
        "memory_grown_mb": _memory_mb() - memory_before,
        "usage_rows": rows,
    }


async def _build(url: str) -> tuple[float, int]:
    connection = await asyncpg.connect(url)
    projector = Projector(url, PROJECTIONS)
    await connection.execute("CHECKPOINT")
    started = time.perf_counter()
    building = asyncio.create_task(projector.run())

    async def are_built() -> bool:
        return bool(await connection.fetchval(_ARE_BUILT) == len(PROJECTIONS))

    await eventually(are_built, _BUILT_SECONDS, message="all projections are built")
    seconds = time.perf_counter() - started
    projector.stop()
    await building
    rows: int = await connection.fetchval("SELECT count(*) FROM projections.usage")
    await connection.close()
    return seconds, rows


def _memory_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=2_000)
    asked = parser.parse_args()
    sys.stdout.write(json.dumps(asyncio.run(measure(asked.events, asked.accounts))) + "\n")


if __name__ == "__main__":
    main()
