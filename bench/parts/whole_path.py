"""Measures all peers in turn, round after round, so that what disturbs one disturbs all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import asyncpg

from bench import resources
from bench.load.closed_loop import Load, LoadError, run_load
from bench.load.requests import body
from bench.load.streams import StreamsPlan, StreamsResult, run_streams
from bench.parts.settlement import Settlement, SettlementWatch
from bench.peers.lineup import LITELLM, SOLARIS, UPSTREAM, CpuMeter, Peer, Peers, wait_until_idle
from bench.plan import CONNECTIONS, Plan
from bench.progress import say

WARM_UP_SECONDS: Final = 2
PACED: Final = StreamsPlan(streams=64, pause_ms=10, spacing_ms=31)
PICTURES: Final = StreamsPlan(streams=20, pause_ms=40, spacing_ms=150, picture_bytes=10 * 1024 * 1024)
CROWD: Final = StreamsPlan(streams=500, pause_ms=30, spacing_ms=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun:
    """One closed-loop run; CPU in microseconds per request by process, `load` being the generator's.

    `other_cpus` is how many CPUs work that has nothing to do with the run kept busy meanwhile.
    """

    peer: str
    stream: bool
    connections: int
    round: int
    load: Load
    cpu_us: dict[str, float]
    other_cpus: float
    settlement: Settlement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsRun:
    """One run of paced or lone streams; CPU in microseconds per relayed chunk, everything of the calls included."""

    peer: str
    kind: str
    round: int
    result: StreamsResult
    chunk_cpu_us: dict[str, float]
    settlement: Settlement | None


@dataclass(slots=True, kw_only=True)
class PathResults:
    loads: list[LoadRun]
    streams: list[StreamsRun]
    memory: dict[str, resources.Memory]
    picture_stream_kib: float | None = None
    """What an open stream whose request held a picture takes of the gateway's memory."""


class WholePath:
    """The measurements of one run on peers that stand."""

    def __init__(self, peers: Peers, plan: Plan, watch: SettlementWatch | None) -> None:
        self._peers = peers
        self._plan = plan
        self._watch = watch
        self._results = PathResults(loads=[], streams=[], memory={})

    async def measure(self) -> PathResults:
        """Everything.

        Raises:
            LoadError: the load generator does not run.
        """
        for peer in self._peers.present:
            await self._load(peer, stream=False, connections=16, round_number=-1, seconds=WARM_UP_SECONDS)
            await self._streams(peer, "warm-up", StreamsPlan(streams=1, pause_ms=0, spacing_ms=0, repeats=5), -1)
        for number in range(self._plan.rounds):
            for stream in (False, True):
                for connections in CONNECTIONS:
                    for peer in self._turn(number):
                        await self._load(peer, stream=stream, connections=connections, round_number=number)
            await self._paced_round(number)
        if self._peers.stack is not None and (solaris := self._peers.find(SOLARIS)):
            await self._streams(solaris, "crowd", CROWD, 0)
            self._results.picture_stream_kib = await self._picture_streams(solaris)
        self._read_memory()
        self._results.loads = [run for run in self._results.loads if run.round >= 0]
        self._results.streams = [run for run in self._results.streams if run.round >= 0]
        return self._results

    async def _paced_round(self, number: int) -> None:
        lone = StreamsPlan(streams=1, pause_ms=0, spacing_ms=0, repeats=self._plan.first_chunk_streams)
        for peer in self._turn(number):
            await self._streams(peer, "lone", lone, number)
        if number >= self._plan.paced_rounds:
            return
        for peer in self._turn(number):
            if peer.name != LITELLM:  # so many chunks a second are more than it relays
                await self._streams(peer, "paced", PACED, number)

    def _turn(self, number: int) -> Sequence[Peer]:
        """All peers, each round beginning with another."""
        present = self._peers.present
        start = number % len(present)
        return [*present[start:], *present[:start]]

    async def _load(
        self, peer: Peer, *, stream: bool, connections: int, round_number: int, seconds: int | None = None
    ) -> None:
        form = "streams" if stream else "whole answers"
        say(f"round {round_number + 1}: {peer.name}, {form}, {connections} connections")
        position = await self._position(peer)
        meter = CpuMeter(peer, self._peers.upstream_pid)
        load = await run_load(
            peer.target,
            body(stream=stream),
            connections=connections,
            seconds=seconds or self._plan.load_seconds,
        )
        other_cpus = max(0.0, meter.other_cpus() - load.generator_cpu_seconds / load.seconds)
        settlement = await self._settled(peer, position, load.requests - load.errors)
        cpu = meter.cpu_seconds()
        await wait_until_idle(peer)
        per_request = {name: used / max(1, load.requests) * 1e6 for name, used in cpu.items()}
        per_request["load"] = load.generator_cpu_seconds / max(1, load.requests) * 1e6
        self._results.loads.append(
            LoadRun(
                peer=peer.name,
                stream=stream,
                connections=connections,
                round=round_number,
                load=load,
                cpu_us=per_request,
                other_cpus=other_cpus,
                settlement=settlement,
            )
        )

    async def _streams(self, peer: Peer, kind: str, plan: StreamsPlan, round_number: int) -> None:
        say(f"round {round_number + 1}: {peer.name}, {kind} streams")
        position = await self._position(peer)
        meter = CpuMeter(peer, self._peers.upstream_pid)
        result = await run_streams(peer.target, plan)
        settlement = await self._settled(peer, position, result.served)
        cpu = meter.cpu_seconds()
        await wait_until_idle(peer)
        run = StreamsRun(
            peer=peer.name,
            kind=kind,
            round=round_number,
            result=result,
            chunk_cpu_us={name: used / max(1, result.chunks) * 1e6 for name, used in cpu.items()},
            settlement=settlement,
        )
        self._results.streams.append(run)

    async def _picture_streams(self, peer: Peer) -> float:
        """Memory that the gateway holds while all are open beyond what it held before, a stream."""
        say(f"{peer.name}, streams with pictures")
        gateway = peer.processes["gateway"]
        await run_streams(peer.target, replace(PICTURES, streams=1))
        before = resources.memory(gateway).rss_mb
        running = asyncio.create_task(run_streams(peer.target, PICTURES))
        await asyncio.sleep(PICTURES.streams * PICTURES.spacing_ms / 1_000 + 1.0)
        held = resources.memory(gateway).rss_mb - before
        result = await running
        if result.failed:
            raise LoadError(f"{result.failed} streams with pictures failed")
        return held * 1024 / PICTURES.streams

    async def _position(self, peer: Peer) -> int:
        return await self._watch.position() if self._watch is not None and peer.name == SOLARIS else 0

    async def _settled(self, peer: Peer, position: int, answered: int) -> Settlement | None:
        if self._watch is None or peer.name != SOLARIS:
            return None
        return await self._watch.wait(position, answered)

    def _read_memory(self) -> None:
        for peer in self._peers.present:
            for name, pid in peer.processes.items():
                self._results.memory[name] = resources.memory(pid)
        self._results.memory[UPSTREAM] = resources.memory(self._peers.upstream_pid)


@asynccontextmanager
async def settlement_watch(database_url: str) -> AsyncIterator[SettlementWatch]:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(database_url, timeout=10, command_timeout=30)
    try:
        yield SettlementWatch(connection)
    finally:
        await connection.close()
