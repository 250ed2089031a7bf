"""`python -m bench.reconciling_log [--calls N]`: how long `reconcile` takes for a log of so many calls, and its memory.

On a Postgres of its own, with what LiteLLM would have told of all calls but one in a thousand, which are to be found.
One JSON object on standard output; it is measured by hand, with several sizes where memory is to be shown flat.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
from chassis.migrations import migrate
from ledger.store.reconciliation.ledger_calls import gather_calls, sorted_ledger_calls
from ledger.store.reconciliation.rows import LedgerCall, Source, UpstreamCall
from ledger.store.reconciliation.upstream_calls import keep_calls
from local_run.servers.postgres import running_postgres

from bench.progress import say
from tests.support.ledger_history import STARTS_AT, write_history

UNTOLD: Final = 1_000
_VERB: Final = """
import resource, sys
from ledger.operate.__main__ import VERBS
code = VERBS.run(["reconcile", *sys.argv[1:]])
used = resource.getrusage(resource.RUSAGE_SELF)
sys.stderr.write(f"{used.ru_utime + used.ru_stime} {used.ru_maxrss}")
sys.exit(code)
"""
KEPT_TOGETHER: Final = 2_000


async def _measure(calls: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="solaris-reconciling-") as directory:
        async with running_postgres(Path(directory) / "postgres") as server:
            url = server.url("postgres")
            await migrate(url, "ledger")
            say(f"writing {calls:,} calls")
            await write_history(url, accounts=2_000, events=2 * calls)
            connection = await asyncpg.connect(url)
            last = await _tell(connection, calls)
            await connection.execute("VACUUM ANALYZE")
            say("reconciling")
            told = await _reconcile_apart(url, f"--from={STARTS_AT.date()}", f"--to={last}", "--threshold=1")
            row = await connection.fetchrow(
                "SELECT sums ->> 'calls', sums ->> 'matched', sums ->> 'missing_there' FROM reconciliation.runs"
            )
            await connection.close()
    assert row is not None, "the verb has made a run"
    return {**dict(zip(("calls", "matched", "missing_there"), map(int, row), strict=True)), **told}


async def _reconcile_apart(url: str, *options: str) -> dict[str, float]:
    """The verb in a process of its own, whose time and memory are told by itself; what it writes is thrown away."""
    command = (sys.executable, "-c", _VERB, *options)
    started = time.perf_counter()
    child = await asyncio.create_subprocess_exec(
        *command,
        env={"SOLARIS_DATABASE_URL": url},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await child.communicate()
    seconds = time.perf_counter() - started
    cpu_seconds, memory_kb = said.split()[-2:]
    return {
        "seconds": round(seconds, 2),
        "own_cpu_seconds": round(float(cpu_seconds), 2),
        "own_memory_mb": int(memory_kb) // 1024,
    }


async def _tell(connection: asyncpg.Connection, calls: int) -> str:
    """Returns the last day of the log."""
    ends_at = STARTS_AT + timedelta(seconds=calls + 3_600)
    reader = connection
    told: list[UpstreamCall] = []
    async with reader.transaction():
        await gather_calls(reader, STARTS_AT - timedelta(days=1), ends_at, ends_at)
        async with aclosing(sorted_ledger_calls(reader)) as known:
            number = 0
            async for call in known:
                number += 1
                if number % UNTOLD:
                    told.append(_as_told(call))
                if len(told) >= KEPT_TOGETHER:
                    await keep_calls(reader, Source.CALLBACK, told)
                    told = []
        await keep_calls(reader, Source.CALLBACK, told)
    return ends_at.date().isoformat()


def _as_told(call: LedgerCall) -> UpstreamCall:
    return UpstreamCall(
        call_id=call.call_id,
        account_id=call.account_id,
        model=call.model,
        started_at=call.started_at,
        ended_at=call.told_at,
        failed=False,
        cached=False,
        tokens=call.tokens,
        cost_usd_micros=call.cost_usd_micros,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    sys.stdout.write(json.dumps(asyncio.run(_measure(parser.parse_args().calls))) + "\n")


if __name__ == "__main__":
    main()
