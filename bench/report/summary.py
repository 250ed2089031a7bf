"""Medians over the rounds, and comparisons within each round before the median is taken."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.parts.whole_path import LoadRun, PathResults, StreamsRun


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCell:
    """One peer at one number of connections: medians over the rounds; `errors` of all of them."""

    peer: str
    stream: bool
    connections: int
    requests_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: int
    cpu_us: dict[str, float]
    other_cpus: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsCell:
    """One peer's streams of one kind."""

    peer: str
    kind: str
    first_chunk_p50_ms: float
    first_chunk_p99_ms: float
    served: int
    failed: int
    most_open: int
    chunks_per_read: float
    chunk_cpu_us: dict[str, float]


class Summary:
    """Answers by peer; None where a peer was not there."""

    def __init__(self, results: PathResults) -> None:
        self._results = results

    def load_cells(self) -> list[LoadCell]:
        keys = dict.fromkeys((run.stream, run.connections, run.peer) for run in self._results.loads)
        return [self._load_cell(*key) for key in keys]

    def streams_cells(self) -> list[StreamsCell]:
        keys = dict.fromkeys((run.kind, run.peer) for run in self._results.streams)
        return [self._streams_cell(*key) for key in keys]

    def compare_loads(
        self,
        peer: str,
        other: str,
        *,
        stream: bool,
        connections: int,
        by: Callable[[LoadRun, LoadRun], float],
    ) -> float | None:
        """The median of `by(peer's run, other's run)` over the rounds."""
        ours, theirs = ({run.round: run for run in self._runs(stream, connections, name)} for name in (peer, other))
        values = [by(ours[number], theirs[number]) for number in ours.keys() & theirs.keys()]
        return median(values) if values else None

    def added_first_chunk_ms(self, peer: str, other: str, kind: str) -> float | None:
        ours, theirs = (
            {run.round: run.result.first_chunk_p50_ms for run in self._streams(kind, name)} for name in (peer, other)
        )
        values = [ours[number] - theirs[number] for number in ours.keys() & theirs.keys()]
        return median(values) if values else None

    def slowest_settlement(self) -> float | None:
        """Seconds until the last run was settled; infinite when one was not."""
        of_loads = [run.settlement for run in self._results.loads]
        of_streams = [run.settlement for run in self._results.streams]
        settlements = [settlement for settlement in (*of_loads, *of_streams) if settlement is not None]
        if not settlements:
            return None
        if not all(settlement.complete for settlement in settlements):
            return float("inf")
        return max(settlement.settled_seconds for settlement in settlements)

    def _runs(self, stream: bool, connections: int, peer: str) -> list[LoadRun]:
        return [
            run for run in self._results.loads if (run.stream, run.connections, run.peer) == (stream, connections, peer)
        ]

    def _streams(self, kind: str, peer: str) -> list[StreamsRun]:
        return [run for run in self._results.streams if (run.kind, run.peer) == (kind, peer)]

    def _load_cell(self, stream: bool, connections: int, peer: str) -> LoadCell:
        runs = self._runs(stream, connections, peer)
        return LoadCell(
            peer=peer,
            stream=stream,
            connections=connections,
            requests_per_second=median(run.load.requests_per_second for run in runs),
            p50_ms=median(run.load.p50_ms for run in runs),
            p95_ms=median(run.load.p95_ms for run in runs),
            p99_ms=median(run.load.p99_ms for run in runs),
            errors=sum(run.load.errors for run in runs),
            cpu_us=_median_each([run.cpu_us for run in runs]),
            other_cpus=median(run.other_cpus for run in runs),
        )

    def _streams_cell(self, kind: str, peer: str) -> StreamsCell:
        runs = self._streams(kind, peer)
        results = [run.result for run in runs]
        return StreamsCell(
            peer=peer,
            kind=kind,
            first_chunk_p50_ms=median(result.first_chunk_p50_ms for result in results),
            first_chunk_p99_ms=median(result.first_chunk_p99_ms for result in results),
            served=sum(result.served for result in results),
            failed=sum(result.failed for result in results),
            most_open=max(result.most_open for result in results),
            chunks_per_read=median(result.chunks / max(1, result.reads) for result in results),
            chunk_cpu_us=_median_each([run.chunk_cpu_us for run in runs]),
        )


def _median_each(figures: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(figure.get(name, 0.0) for figure in figures) for name in figures[0]}
