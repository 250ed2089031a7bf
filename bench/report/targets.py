"""What the product must reach, beside what it reached."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from bench.peers.lineup import LITELLM, PASS_THROUGH, SOLARIS, UPSTREAM
from bench.report.summary import Summary
from bench.resources import Memory

AT_LEAST: Final = "≥"
AT_MOST: Final = "≤"
_MIN_CALLERS: Final = 64
_REPLAY_EVENTS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """`measured` None where it could not be measured in this run."""

    name: str
    sign: str
    bound: float
    unit: str
    measured: float | None

    @property
    def reached(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.bound if self.sign == AT_LEAST else self.measured <= self.bound

    @property
    def missed_by(self) -> str:
        """By how much it is not reached, as a share of the bound; empty where it is."""
        if self.measured is None or self.reached:
            return ""
        if self.bound == 0 or self.measured == float("inf"):
            return "not reached"
        return f"{abs(self.measured - self.bound) / self.bound:.0%}"


def path_targets(
    summary: Summary, memory: Mapping[str, Memory], sync_interval: str, picture_stream_kib: float | None
) -> list[TargetRow]:
    """The targets of the whole path."""
    rows = [
        *_throughput_targets(summary),
        *_latency_targets(summary),
        *_stream_targets(summary),
        _row("all usage settled after the end of each run", AT_MOST, 5, "s", summary.slowest_settlement()),
        _row("JetStream syncs always (1: yes)", AT_LEAST, 1, "", float(sync_interval == "always")),
    ]
    rows.append(
        _row(
            "gateway's memory per open stream whose request held a 10 MiB picture",
            AT_MOST,
            64,
            "KiB",
            picture_stream_kib,
        )
    )
    gateway = memory.get("gateway")
    rows.append(
        _row(
            "gateway's memory after the run (RSS)",
            AT_MOST,
            150,
            "MB",
            gateway.rss_mb if gateway and gateway.rss_mb else None,
        )
    )
    return rows


def _throughput_targets(summary: Summary) -> list[TargetRow]:
    def ratio(other: str) -> float | None:
        return summary.compare_loads(
            SOLARIS,
            other,
            stream=False,
            connections=16,
            by=lambda ours, theirs: ours.load.requests_per_second / theirs.load.requests_per_second,
        )

    pass_through = ratio(PASS_THROUGH)
    return [
        _row("requests/s at 16 connections against LiteLLM", AT_LEAST, 25, "times", ratio(LITELLM)),
        _row(
            "requests/s at 16 connections against the bare pass-through",
            AT_LEAST,
            35,
            "%",
            None if pass_through is None else pass_through * 100,
        ),
    ]


def _latency_targets(summary: Summary) -> list[TargetRow]:
    def added(peer: str) -> float | None:
        return summary.compare_loads(
            peer,
            UPSTREAM,
            stream=False,
            connections=1,
            by=lambda ours, upstream: ours.load.p50_ms - upstream.load.p50_ms,
        )

    ours, theirs = added(SOLARIS), added(LITELLM)
    share = ours / theirs * 100 if ours is not None and theirs else None
    p99 = summary.compare_loads(
        SOLARIS,
        UPSTREAM,
        stream=False,
        connections=16,
        by=lambda ours, upstream: ours.load.p99_ms - upstream.load.p99_ms,
    )
    return [
        _row("added median latency at 1 connection", AT_MOST, 2, "ms", ours),
        _row("the same as a share of what LiteLLM adds", AT_MOST, 100 / 6, "%", share),
        _row("p99 at 16 connections above the upstream's", AT_MOST, 12, "ms", p99),
    ]


def _stream_targets(summary: Summary) -> list[TargetRow]:
    cells = {(cell.kind, cell.peer): cell for cell in summary.streams_cells()}
    paced, crowd = cells.get(("paced", SOLARIS)), cells.get(("crowd", SOLARIS))
    return [
        _row("gateway's CPU per relayed chunk", AT_MOST, 25, "µs", paced.chunk_cpu_us["gateway"] if paced else None),
        _row("streams open at once", AT_LEAST, 500, "", crowd.most_open if crowd else None),
        _row("of them failed", AT_MOST, 0, "", crowd.failed if crowd else None),
        _row(
            "first chunk's added delay, one stream at a time",
            AT_MOST,
            3,
            "ms",
            summary.added_first_chunk_ms(SOLARIS, UPSTREAM, "lone"),
        ),
        _row(
            "first chunk's added delay beside 64 paced streams",
            AT_MOST,
            3,
            "ms",
            summary.added_first_chunk_ms(SOLARIS, UPSTREAM, "paced"),
        ),
    ]


def ledger_targets(cases: list[dict[str, Any]]) -> list[TargetRow]:
    """The best of the cases with at least 64 callers, as each is told in the table of the ledger alone."""

    def best(name: str) -> float | None:
        found = [
            case["commands_per_second"]
            for case in cases
            if case["name"].startswith(name) and case["callers"] >= _MIN_CALLERS
        ]
        return max(found) if found else None

    return [
        _row("durable reserves over 1,000 accounts", AT_LEAST, 12_000, "/s", best("reserve, 1000")),
        _row("durable reserves on one account", AT_LEAST, 8_000, "/s", best("reserve, one")),
    ]


def fold_targets(fold: Mapping[str, float]) -> list[TargetRow]:
    return [
        _row("fold of events", AT_LEAST, 300_000, "events/s", fold["evolve"]),
        _row("fold with decoding", AT_LEAST, 300_000, "events/s", fold["decode_and_evolve"]),
    ]


def webhook_targets(webhooks: Mapping[str, float]) -> list[TargetRow]:
    """How fast a burst is stored and answered, and that each order in it was credited once."""
    burst = f"of {webhooks['events']:,.0f} webhooks at once"
    return [
        _row(f"{burst} stored", AT_LEAST, 300, "/s", webhooks["stored_per_second"]),
        _row(f"{burst}, median answer", AT_MOST, 100, "ms", webhooks["p50_ms"]),
        _row("credits beyond one an order", AT_MOST, 0, "", abs(webhooks["credited"] - webhooks["orders"])),
    ]


def projector_targets(projector: Mapping[str, Any]) -> list[TargetRow]:
    """What it costs the calls, by their number and by the CPU time that they take, and how far it stays behind."""
    calls, cpu = projector["requests_per_second"]["ratio"], projector["cpu_us"]["ratio"]
    return [
        _row("calls/s beside the projector against without it", AT_LEAST, 92, "%", calls * 100),
        _row("the same as CPU time leaves for calls", AT_LEAST, 92, "%", 100 / cpu),
        _row("longest lag of a projection meanwhile", AT_MOST, 2, "s", projector["longest_lag_seconds"]),
    ]


def replay_targets(replays: list[dict[str, Any]]) -> list[TargetRow]:
    """Speed on the largest log; memory there against that on the smallest."""
    sizes = sorted({replay["events"] for replay in replays})
    largest = [replay for replay in replays if replay["events"] == sizes[-1]]
    smallest = [replay for replay in replays if replay["events"] == sizes[0]]
    speed = median(replay["events_per_second"] for replay in largest)
    told = f"replay of {sizes[-1]:,} events"
    if sizes[-1] < _REPLAY_EVENTS:
        told += " (a million is the target's)"
    rows = [_row(told, AT_LEAST, 150_000, "events/s", speed)]
    if len(sizes) > 1:
        growth = median(each["peak_memory_mb"] for each in largest) / median(
            each["peak_memory_mb"] for each in smallest
        )
        name = f"replay's memory at {sizes[-1]:,} events against {sizes[0]:,} (flat)"
        rows.append(_row(name, AT_MOST, 1.25, "times", growth))
    return rows


def _row(name: str, sign: str, bound: float, unit: str, measured: float | None) -> TargetRow:
    return TargetRow(name=name, sign=sign, bound=bound, unit=unit, measured=measured)
