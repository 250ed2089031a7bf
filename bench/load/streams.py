"""Paced streams through one peer: first-chunk delay, many open at once, chunks counted one by one."""

import asyncio
import time
from dataclasses import dataclass, field

from bench.load.answers import CHUNKS_PER_STREAM
from bench.load.client import Connection, ExchangeError
from bench.load.figures import percentile
from bench.load.requests import Target, body, whole_request


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsPlan:
    """`streams` connections, each started `spacing_ms` after the one before and used `repeats` times.

    `picture_bytes` of base64 stand in each request.
    """

    streams: int
    pause_ms: int
    spacing_ms: float
    repeats: int = 1
    picture_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsResult:
    """`failed`: statuses other than 200, missing chunks, no `[DONE]`, broken connections."""

    served: int
    failed: int
    most_open: int
    chunks: int
    reads: int
    seconds: float
    first_chunk_p50_ms: float
    first_chunk_p99_ms: float


@dataclass(slots=True)
class _Tally:
    open: int = 0
    most_open: int = 0
    served: int = 0
    failed: int = 0
    chunks: int = 0
    reads: int = 0
    first_chunks: list[float] = field(default_factory=list)


async def run_streams(target: Target, plan: StreamsPlan) -> StreamsResult:
    """Run the plan; a failure is counted, not raised."""
    tally = _Tally()
    payload = body(stream=True, pause_ms=plan.pause_ms, picture_bytes=plan.picture_bytes)
    started = time.perf_counter()
    await asyncio.gather(*(_work(target, plan, payload, number, tally) for number in range(plan.streams)))
    seconds = time.perf_counter() - started
    tally.first_chunks.sort()
    return StreamsResult(
        served=tally.served,
        failed=tally.failed,
        most_open=tally.most_open,
        chunks=tally.chunks,
        reads=tally.reads,
        seconds=seconds,
        first_chunk_p50_ms=percentile(tally.first_chunks, 50) * 1_000,
        first_chunk_p99_ms=percentile(tally.first_chunks, 99) * 1_000,
    )


async def _work(target: Target, plan: StreamsPlan, payload: bytes, number: int, tally: _Tally) -> None:
    await asyncio.sleep(number * plan.spacing_ms / 1_000)
    try:
        connection = await Connection.open(target, count_events=True)
    except (OSError, TimeoutError):
        tally.failed += plan.repeats
        return
    for repeat in range(plan.repeats):
        request = whole_request(target, payload, number + repeat * plan.streams)
        tally.open += 1
        tally.most_open = max(tally.most_open, tally.open)
        try:
            exchange = await connection.exchange(request)
        except ExchangeError:
            tally.failed += plan.repeats - repeat
            break
        finally:
            tally.open -= 1
        whole = exchange.status == 200 and exchange.done and exchange.events == CHUNKS_PER_STREAM
        tally.served += whole
        tally.failed += not whole
        tally.chunks += exchange.events
        tally.reads += exchange.reads
        tally.first_chunks.append(exchange.first_chunk_seconds)
    connection.close()
