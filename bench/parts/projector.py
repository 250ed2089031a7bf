"""`python -m bench.parts.projector`: what the projector costs the calls per second, and how far it stays behind.

Two stacks in turns (`bench/parts/in_turns.py`), all that there is to project in both, the projector of one of them
frozen from the beginning. One JSON object on standard output.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Final

import asyncpg
import uvloop
from ledger.projections.catalog import PROJECTIONS
from ledger.store.projected.tracks import load_lags

from bench.load.closed_loop import LoadError
from bench.parts.in_turns import Figures, compared, load_in_turns, running_upstream
from bench.peers.lineup import Peer
from bench.peers.stack import RunningStack, running_stack
from bench.processes import ProcessError

WITH: Final = "with"
WITHOUT: Final = "without"
_PROJECTOR: Final = "projector"
_LOOK_SECONDS: Final = 0.2
_BUILT_SECONDS: Final = 30.0


@contextlib.contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def _watching(connection: asyncpg.Connection, peer: Peer) -> AsyncIterator[Figures]:
    """`lag_seconds`, the longest of any projection while the block ran."""
    figures: Figures = {}
    if peer.name != WITH:
        yield figures
        return
    figures["lag_seconds"] = 0.0

    async def look() -> None:
        while True:
            lags = await load_lags(connection)
            figures["lag_seconds"] = max(figures["lag_seconds"], *(lag.seconds for lag in lags))
            await asyncio.sleep(_LOOK_SECONDS)

    looking = asyncio.create_task(look())
    try:
        yield figures
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _await_built(connection: asyncpg.Connection) -> None:
    try:
        async with asyncio.timeout(_BUILT_SECONDS):
            while len(await load_lags(connection)) < len(PROJECTIONS):  # noqa: ASYNC110  another process' doing
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise ProcessError("the projector does not build its projections") from None


async def _measure(
    beside: RunningStack, without: RunningStack, upstream_pid: int, *, connections: int, seconds: float, rounds: int
) -> dict[str, object]:
    connection = await asyncpg.connect(beside.database_url, timeout=10)
    try:
        await _await_built(connection)
        peers = [Peer(target=stack.target, processes=stack.pids) for stack in (beside, without)]
        with _frozen(without.pids[_PROJECTOR]):
            measured = await load_in_turns(
                peers,
                upstream_pid,
                connections=connections,
                seconds=seconds,
                rounds=rounds,
                beside=partial(_watching, connection),
            )
    finally:
        await connection.close()
    summary = compared(measured, WITH, WITHOUT)
    longest = max(each[WITH]["lag_seconds"] for each in measured)
    return {"projections": len(PROJECTIONS), "longest_lag_seconds": longest, **summary}


async def _run(connections: int, seconds: float, rounds: int) -> dict[str, object]:
    async with (
        running_upstream() as (port, upstream_pid),
        running_stack(port, name=WITH) as beside,
        running_stack(port, name=WITHOUT) as without,
    ):
        return await _measure(beside, without, upstream_pid, connections=connections, seconds=seconds, rounds=rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    try:
        found = uvloop.run(_run(arguments.connections, arguments.seconds, arguments.rounds))
    except (ProcessError, LoadError) as error:
        sys.exit(f"bench: {error}")
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
