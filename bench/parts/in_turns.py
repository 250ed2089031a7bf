"""Two stacks on one trivial upstream, under load in turns: what else the machine does meets both alike."""

import contextlib
import json
import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from local_run.ports import any_free

from bench.load.closed_loop import LoadError, run_load
from bench.load.requests import body
from bench.peers.lineup import CpuMeter, Peer, wait_until_idle
from bench.processes import BENCH_DIRECTORY, answers, python_program, running
from bench.progress import say

WARM_UP_SECONDS: Final = 3.0
_START_SECONDS: Final = 30.0

type Figures = dict[str, float]
"""Of one load: requests/s, milliseconds, and CPU microseconds a request of each process of the stack; `cpu_us` is of
them all, upstream and load generator included."""


@contextlib.asynccontextmanager
async def running_upstream() -> AsyncIterator[tuple[int, int]]:
    """Its port and pid."""
    port = any_free()
    program = python_program("upstream", "-m", "bench.peers.upstream", "--port", str(port))
    log = BENCH_DIRECTORY / "upstream.log"
    starting = running(program, log, is_ready=lambda: answers(port, "/v1/models"), timeout_seconds=_START_SECONDS)
    async with starting as pid:
        yield port, pid


async def load_in_turns(
    peers: Sequence[Peer],
    upstream_pid: int,
    *,
    connections: int,
    seconds: float,
    rounds: int,
    stream: bool = False,
    beside: Callable[[Peer], AbstractAsyncContextManager[Figures]] | None = None,
) -> list[dict[str, Figures]]:
    """Figures by peer of each round, each round in the other order, after one that warms up.

    `beside` runs with each load, and gives figures that it has filled when it ends.

    Raises:
        LoadError: a call failed, or the load generator did not run.
    """
    measured: list[dict[str, Figures]] = []
    for number in range(-1, rounds):
        figures = {}
        for peer in peers if number % 2 else reversed(peers):
            async with (beside or _nothing)(peer) as more:
                lasting = WARM_UP_SECONDS if number < 0 else seconds
                loaded = await _load(peer, upstream_pid, connections=connections, seconds=lasting, stream=stream)
            figures[peer.name] = loaded | more
        if number >= 0:
            say(f"round {number + 1}: {json.dumps(figures)}")
            measured.append(figures)
    return measured


def compared(rounds: Sequence[dict[str, Figures]], this: str, other: str) -> dict[str, object]:
    """Of each figure the medians of both, and the ratios of this one to the other within each round."""
    summary: dict[str, object] = {}
    for figure in dict.fromkeys([*rounds[0][this], *rounds[0][other]]):
        # A process that one of them does not have used nothing; one with next to nothing to do may show no tick.
        pairs = [(each[this].get(figure, 0.0), each[other].get(figure, 0.0)) for each in rounds]
        ratios = sorted(mine / its for mine, its in pairs if its)
        medians = (round(statistics.median(values), 2) for values in zip(*pairs, strict=True))
        summary[figure] = {
            **dict(zip((this, other), medians, strict=True)),
            "ratio": round(statistics.median(ratios), 4) if ratios else None,
            "ratios": [round(ratio, 3) for ratio in ratios],
        }
    return summary


async def _load(peer: Peer, upstream_pid: int, *, connections: int, seconds: float, stream: bool) -> Figures:
    await wait_until_idle(peer)
    meter = CpuMeter(peer, upstream_pid)
    load = await run_load(peer.target, body(stream=stream), connections=connections, seconds=seconds)
    if load.errors:
        raise LoadError(f"{load.errors} of {load.requests} calls of {peer.name} failed")
    await wait_until_idle(peer)
    used = meter.cpu_seconds()
    return {
        "requests_per_second": load.requests_per_second,
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
        "cpu_us": 1e6 * (sum(used.values()) + load.generator_cpu_seconds) / load.requests,
        **{f"{name}_cpu_us": 1e6 * used[name] / load.requests for name in peer.processes},
    }


@contextlib.asynccontextmanager
async def _nothing(_: Peer) -> AsyncIterator[Figures]:
    yield {}
