"""`python -m bench.turns CHECKOUT`: this version and another one, installed in a checkout of its own, in turns.

Both stacks run at once and take turns under load (`bench/parts/in_turns.py`). One JSON object on standard output;
ratios are this version to the other.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

import uvloop

from bench.load.closed_loop import LoadError
from bench.parts.in_turns import compared, load_in_turns, running_upstream
from bench.peers.lineup import Peer
from bench.peers.stack import running_stack
from bench.processes import ProcessError, bench_directory

THIS: Final = "this"
OTHER: Final = "other"


async def _run(checkout: Path, *, connections: int, seconds: float, rounds: int, stream: bool) -> dict[str, object]:
    async with (
        running_upstream() as (port, upstream_pid),
        running_stack(port, name=THIS) as this,
        running_stack(port, name=OTHER, checkout=checkout) as other,
    ):
        peers = [Peer(target=stack.target, processes=stack.pids) for stack in (this, other)]
        measured = await load_in_turns(
            peers, upstream_pid, connections=connections, seconds=seconds, rounds=rounds, stream=stream
        )
        return compared(measured, THIS, OTHER)


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
