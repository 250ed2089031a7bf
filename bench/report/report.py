"""The results as JSON and as tables."""

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

from bench.load.answers import CHUNKS_PER_STREAM
from bench.load.requests import USERS
from bench.parts.projector import WITH, WITHOUT
from bench.parts.whole_path import CROWD, PACED, PathResults
from bench.plan import CONNECTIONS, Plan
from bench.report.summary import LoadCell, Summary
from bench.report.tables import number, table
from bench.report.targets import (
    TargetRow,
    fold_targets,
    ledger_targets,
    path_targets,
    projector_targets,
    replay_targets,
    webhook_targets,
)

_NOISY_CPUS: Final = 0.2


@dataclass(slots=True, kw_only=True)
class Report:
    """What was measured; parts that were not are None or empty. `missing` says why a peer is not there."""

    machine: dict[str, object]
    plan: Plan
    name: str
    path: PathResults | None = None
    sync_interval: str = ""
    ledger: dict[str, Any] | None = None
    fold: dict[str, float] | None = None
    replays: list[dict[str, Any]] = field(default_factory=list)
    webhooks: dict[str, float] | None = None
    projector: dict[str, Any] | None = None
    missing: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def targets(self) -> list[TargetRow]:
        rows: list[TargetRow] = []
        if self.path is not None:
            rows += path_targets(Summary(self.path), self.path.memory, self.sync_interval, self.path.picture_stream_kib)
        if self.ledger is not None:
            rows += ledger_targets(self.ledger_cases())
        if self.fold is not None:
            rows += fold_targets(self.fold)
        if self.replays:
            rows += replay_targets(self.replays)
        if self.webhooks is not None:
            rows += webhook_targets(self.webhooks)
        if self.projector is not None:
            rows += projector_targets(self.projector)
        return rows

    def ledger_cases(self) -> list[dict[str, Any]]:
        """Medians over the rounds, by case and callers."""
        measured: list[dict[str, Any]] = self.ledger["cases"] if self.ledger is not None else []
        groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for case in measured:
            groups.setdefault((case["name"], case["callers"]), []).append(case)
        return [
            {
                key: value if key in {"name", "callers"} else median(case[key] for case in group)
                for key, value in group[0].items()
            }
            for group in groups.values()
        ]

    def as_json(self) -> dict[str, Any]:
        rows = [{**asdict(row), "reached": row.reached} for row in self.targets()]
        return {
            "machine": self.machine,
            "plan": asdict(self.plan),
            "seconds": round(self.seconds, 1),
            "missing": self.missing,
            "jetstream_sync_interval": self.sync_interval,
            "targets": rows,
            "path": asdict(self.path) if self.path is not None else None,
            "ledger": self.ledger,
            "fold": self.fold,
            "replays": self.replays,
            "webhooks": self.webhooks,
            "projector": self.projector,
        }

    def as_markdown(self) -> str:
        parts = [
            f"# Benchmark, {self.machine['date']}",
            self._machine_text(),
            "## Targets",
            self._targets_table(),
        ]
        if self.path is not None:
            parts += self._path_parts(Summary(self.path), self.path)
        if self.ledger is not None:
            parts += ["## The ledger alone", self._ledger_text(self.ledger), self._ledger_table()]
        if self.fold is not None:
            events = number(self.fold["events"])
            rows = [[name.replace("_", " "), number(self.fold[name])] for name in self.fold if name != "events"]
            parts += [f"## Folding {events} events", table(["step alone", "events/s"], rows)]
        if self.replays:
            parts += ["## Replay", self._replay_table()]
        if self.webhooks is not None:
            rows = [[name.replace("_", " "), number(value)] for name, value in self.webhooks.items()]
            parts += ["## A burst of Stripe's webhooks", table(["", "measured"], rows)]
        if self.projector is not None:
            parts += ["## The projector beside the gateway", self._projector_table(self.projector)]
        return "\n\n".join(parts) + "\n"

    def _machine_text(self) -> str:
        machine = self.machine
        packages = machine["packages"]
        assert isinstance(packages, dict)
        versions = ", ".join(f"{name} {version}" for name, version in packages.items())
        text = (
            f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, "
            f"Python {machine['python']}; commit {machine['commit']}. Load by {machine['load_generator']}. "
            f"A durable write of 8 kB takes {machine['fsync_ms']} ms. Load average before the run "
            f"{machine['load_average_before']:.1f}. {versions}. The run took {self.seconds:.0f} s, "
            f"{self.plan.rounds} rounds of {self.plan.load_seconds} s a cell."
        )
        return (
            text
            + self._noise_text()
            + "".join(f"\n\n**Not measured: {name}**: {reason}" for name, reason in self.missing.items())
        )

    def _noise_text(self) -> str:
        """A warning when other work took much of the machine."""
        measured = [run.other_cpus for run in self.path.loads] if self.path is not None else []
        if self.ledger is not None:
            measured += [case["other_cpus"] for case in self.ledger["cases"]]
        if not measured or median(measured) < _NOISY_CPUS:
            return ""
        return (
            f"\n\n**Other work kept {number(median(measured))} CPUs busy meanwhile (median): absolute figures are too "
            "low, latencies too long.**"
        )

    def _targets_table(self) -> str:
        def verdict(row: TargetRow) -> str:
            if row.reached is None:
                return "not measured"
            return "yes" if row.reached else f"**no**, by {row.missed_by}"

        rows = [
            [row.name, f"{row.sign} {number(row.bound)} {row.unit}".strip(), _told(row), verdict(row)]
            for row in self.targets()
        ]
        return table(["target", "bound", "measured", "reached"], rows)

    def _path_parts(self, summary: Summary, path: PathResults) -> list[str]:
        cells = summary.load_cells()
        parts = [
            "## The whole path",
            f"Our stack as `make run` starts it: embedded Postgres (fsync on) and NATS (sync_interval "
            f"{self.sync_interval or 'not read'}), ledger, gateway with enforcement, notifier; {USERS:,} users in "
            f"turn. The bare pass-through is the gateway's server and client alone. Peers take turns on the same "
            f"upstream, all on this one machine with the load; medians of {self.plan.rounds} rounds.",
        ]
        for stream in (False, True):
            title = f"### Streams of {CHUNKS_PER_STREAM} chunks" if stream else "### Whole answers"
            chosen = [cell for cell in cells if cell.stream is stream]
            parts += [title, _load_table(chosen), "CPU in µs a request, by process:", _cpu_table(chosen)]
        parts += ["### Paced and many streams", _streams_text(), _streams_table(summary)]
        parts += ["### After each run", _settlement_table(path), "### Memory after the runs", _memory_table(path)]
        return parts

    def _ledger_text(self, ledger: dict[str, Any]) -> str:
        settings = ", ".join(f"{name} {value}" for name, value in ledger["durability"].items())
        return (
            f"Commands through the executor, hash chain included, callers in closed loops in its process ({settings}). "
            "The time of a batch is the latency at as many callers as it holds; a batch holds at most 128."
        )

    def _ledger_table(self) -> str:
        rows = [
            [
                case["name"],
                str(case["callers"]),
                number(case["commands_per_second"]),
                number(case["p50_ms"]),
                number(case["p99_ms"]),
                number(case["mean_batch"]),
                number(case["process_cpu_us"]),
                number(case["postgres_cpu_us"]),
                number(case["other_cpus"]),
            ]
            for case in self.ledger_cases()
        ]
        head = ["commands", "callers", "per second", "p50 ms", "p99 ms", "mean batch", "CPU µs", "Postgres CPU µs"]
        return table([*head, "CPUs busy with others"], rows)

    def _projector_table(self, projector: dict[str, Any]) -> str:
        compared = {name: found for name, found in projector.items() if isinstance(found, dict)}
        rows = [
            [
                name.replace("_", " "),
                *(number(found[stack]) for stack in (WITH, WITHOUT)),
                ", ".join(f"{ratio:g}" for ratio in found["ratios"]),
            ]
            for name, found in compared.items()
        ]
        return table(["medians", WITH, WITHOUT, "ratios of the rounds"], rows)

    def _replay_table(self) -> str:
        rows = [
            [
                number(one["events"]),
                number(one["seconds"]),
                number(one["events_per_second"]),
                number(one["peak_memory_mb"]),
                str(one["differences"]),
            ]
            for one in self.replays
        ]
        return table(["events", "seconds", "events/s", "memory of its largest process, MB", "differences"], rows)


def _told(row: TargetRow) -> str:
    return "" if row.measured is None else f"{number(row.measured)} {row.unit}".strip()


def _load_table(cells: list[LoadCell]) -> str:
    head = ["peer", "connections", "requests/s", "p50 ms", "p95 ms", "p99 ms", "errors", "CPUs busy with others"]
    rows = [
        [
            cell.peer,
            str(cell.connections),
            number(cell.requests_per_second),
            number(cell.p50_ms),
            number(cell.p95_ms),
            number(cell.p99_ms),
            str(cell.errors),
            number(cell.other_cpus),
        ]
        for connections in CONNECTIONS
        for cell in cells
        if cell.connections == connections
    ]
    return table(head, rows)


def _cpu_table(cells: list[LoadCell]) -> str:
    rows = [
        [cell.peer, str(cell.connections), ", ".join(f"{name} {number(used)}" for name, used in cell.cpu_us.items())]
        for cell in cells
        if cell.connections == 16
    ]
    return table(["peer", "connections", "CPU"], rows)


def _streams_text() -> str:
    return (
        f"*Lone*: one stream after the other, chunks as fast as the upstream's loop turns. *Paced*: {PACED.streams} "
        f"streams begun {PACED.spacing_ms:g} ms apart, a chunk every {PACED.pause_ms} ms in each, so that each chunk "
        f"is relayed by itself. *Crowd*: {CROWD.streams} streams begun {CROWD.spacing_ms:g} ms apart, a chunk every "
        f"{CROWD.pause_ms} ms. CPU is that of the whole calls, divided by their chunks. "
        f"LiteLLM is not paced: so many chunks a second are more than it relays."
    )


def _streams_table(summary: Summary) -> str:
    head = ["kind", "peer", "first chunk p50 ms", "p99 ms", "served", "failed", "most open", "CPU µs a chunk"]
    rows = [
        [
            cell.kind,
            cell.peer,
            number(cell.first_chunk_p50_ms),
            number(cell.first_chunk_p99_ms),
            str(cell.served),
            str(cell.failed),
            str(cell.most_open),
            ", ".join(f"{name} {number(used)}" for name, used in cell.chunk_cpu_us.items()),
        ]
        for cell in summary.streams_cells()
    ]
    return table(head, rows)


def _settlement_table(path: PathResults) -> str:
    runs = [
        (f"{'streams' if run.stream else 'whole answers'}, {run.connections} connections", run.settlement)
        for run in path.loads
    ] + [(f"{run.kind} streams", run.settlement) for run in path.streams]
    rows = [
        [
            name,
            str(settlement.reserved),
            str(settlement.settled),
            str(settlement.released),
            str(settlement.expired),
            number(settlement.settled_seconds) if settlement.complete else "**not settled**",
            number(settlement.relayed_seconds),
        ]
        for name, settlement in runs
        if settlement is not None
    ]
    head = ["run", "reserved", "settled", "released", "expired", "settled after s", "relayed after s"]
    return table(head, rows)


def _memory_table(path: PathResults) -> str:
    rows = [[name, number(one.rss_mb), number(one.pss_mb), number(one.peak_mb)] for name, one in path.memory.items()]
    return table(["process", "RSS MB", "PSS MB", "peak MB"], rows)
