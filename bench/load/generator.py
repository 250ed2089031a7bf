"""`python -m bench.load.generator TARGET --connections N --seconds S`: the load generator for machines without wrk.

One process on uvloop; the last line of its output is the same JSON object that `wrk.lua` prints.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import uvloop

from bench.load.client import Connection, ExchangeError
from bench.load.figures import percentile
from bench.load.requests import USERS, Target, whole_request


@dataclass(slots=True)
class _Tally:
    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)


async def _generate(target: Target, payload: bytes, connections: int, seconds: float) -> dict[str, float]:
    users = count()
    requests = [whole_request(target, payload, user) for user in range(USERS)]
    tally = _Tally()
    started = time.perf_counter()
    await asyncio.gather(*(_work(target, requests, users, started + seconds, tally) for _ in range(connections)))
    latencies, failures = sorted(tally.latencies), tally.failures
    return {
        "requests": len(latencies),
        "duration_us": int((time.perf_counter() - started) * 1e6),
        "bytes": 0,
        **{kind: failures[kind] for kind in ("connect", "read", "write", "status", "timeout")},
        **{f"p{rank}_us": int(percentile(latencies, rank) * 1e6) for rank in (50, 95, 99)},
    }


async def _work(target: Target, requests: list[bytes], users: Iterator[int], ends_at: float, tally: _Tally) -> None:
    connection = await Connection.open(target)
    while time.perf_counter() < ends_at:
        try:
            exchange = await connection.exchange(requests[next(users) % len(requests)], timeout_seconds=10)
        except ExchangeError:
            tally.failures["read"] += 1
            connection = await Connection.open(target)
            continue
        tally.latencies.append(exchange.seconds)
        if exchange.status > 399:
            tally.failures["status"] += 1
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    described = json.loads(arguments.target)
    headers = tuple((name, value) for name, value in described["headers"])
    target = Target(name=described["name"], port=described["port"], headers=headers)
    payload = described["body"].encode()
    figures = uvloop.run(_generate(target, payload, arguments.connections, arguments.seconds))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
