"""`python -m bench.turns CHECKOUT`: this version and another one, installed in a checkout of its own, in turns.

Both stacks run at once on one trivial upstream and take turns under load, each round in the other order, so that what
else the machine does meets both alike. One JSON object on standard output; ratios are this version to the other.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uvloop
from local_run.ports import any_free

from bench.load.closed_loop import LoadError, run_load
from bench.load.requests import body
from bench.peers.lineup import CpuMeter, Peer, wait_until_idle
from bench.peers.stack import running_stack
from bench.processes import BENCH_DIRECTORY, ProcessError, answers, bench_directory, python_program, running
from bench.progress import say

THIS: Final = "this"
OTHER: Final = "other"
_START_SECONDS: Final = 30.0
_WARM_UP_SECONDS: Final = 3.0

type Figures = dict[str, float]
"""Of one load: requests/s, milliseconds, and CPU microseconds a request of each process of the stack."""


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
        **{f"{name}_cpu_us": 1e6 * used[name] / load.requests for name in peer.processes},
    }


def _summary(rounds: Sequence[dict[str, Figures]]) -> dict[str, object]:
    summary: dict[str, object] = {}
    for figure in dict.fromkeys([*rounds[0][THIS], *rounds[0][OTHER]]):
        # A process that one version does not have used nothing; one with next to nothing to do may show no tick.
        pairs = [(each[THIS].get(figure, 0.0), each[OTHER].get(figure, 0.0)) for each in rounds]
        ratios = sorted(this / other for this, other in pairs if other)
        medians = (round(statistics.median(values), 2) for values in zip(*pairs, strict=True))
        summary[figure] = {
            **dict(zip((THIS, OTHER), medians, strict=True)),
            "ratio": round(statistics.median(ratios), 4) if ratios else None,
            "ratios": [round(ratio, 3) for ratio in ratios],
        }
    return summary


async def _run(checkout: Path, *, connections: int, seconds: float, rounds: int, stream: bool) -> dict[str, object]:
    port = any_free()
    upstream = python_program("upstream", "-m", "bench.peers.upstream", "--port", str(port))
    log = BENCH_DIRECTORY / "upstream.log"
    async with (
        running(
            upstream, log, is_ready=lambda: answers(port, "/v1/models"), timeout_seconds=_START_SECONDS
        ) as upstream_pid,
        running_stack(port, name=THIS) as this,
        running_stack(port, name=OTHER, checkout=checkout) as other,
    ):
        peers = [Peer(target=stack.target, processes=stack.pids) for stack in (this, other)]
        measured: list[dict[str, Figures]] = []
        for number in range(-1, rounds):
            figures = {}
            for peer in peers if number % 2 else reversed(peers):
                figures[peer.name] = await _load(
                    peer,
                    upstream_pid,
                    connections=connections,
                    seconds=_WARM_UP_SECONDS if number < 0 else seconds,
                    stream=stream,
                )
            if number >= 0:
                say(f"round {number + 1}: {json.dumps(figures)}")
                measured.append(figures)
        return _summary(measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="the other version, with its environment installed")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--stream", action="store_true", help="streams of 200 chunks instead of whole answers")
    arguments = parser.parse_args()
    try:
        with bench_directory():
            summary = uvloop.run(
                _run(
                    arguments.checkout.resolve(),
                    connections=arguments.connections,
                    seconds=arguments.seconds,
                    rounds=arguments.rounds,
                    stream=arguments.stream,
                )
            )
    except (ProcessError, LoadError) as error:
        sys.exit(f"bench: {error}")
    sys.stdout.write(json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    main()
