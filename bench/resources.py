"""CPU time and memory of processes and their children, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """MB of a process with its children. `rss` counts shared pages in each, `pss` once; `peak` sums each one's own."""

    rss_mb: float
    pss_mb: float
    peak_mb: float


def cpu_seconds(pid: int) -> float:
    """User and system time that the process, its children and its ended children have used."""
    own = sum(_stat_times(pid)[:4])
    return (own + sum(sum(_stat_times(child)[:4]) for child in descendants(pid))) / _TICKS_PER_SECOND


def machine_busy_seconds() -> float:
    """CPU time that everything on this machine has used since it started."""
    user, nice, system, _, _, interrupts, soft_interrupts = (
        int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + interrupts + soft_interrupts) / _TICKS_PER_SECOND


def memory(pid: int) -> Memory:
    """What the process and its children hold now."""
    rss = pss = peak = 0.0
    for each in (pid, *descendants(pid)):
        fields = _fields(Path(f"/proc/{each}/smaps_rollup"))
        rss += fields.get("Rss", 0)
        pss += fields.get("Pss", 0)
        peak += _fields(Path(f"/proc/{each}/status")).get("VmHWM", 0)
    return Memory(rss_mb=rss / 1024, pss_mb=pss / 1024, peak_mb=peak / 1024)


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


def _stat_times(pid: int) -> list[int]:
    """Ticks of user, system, and of ended children's user and system time; zeros where the process is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return [0, 0, 0, 0]
    return [int(word) for word in words[11:15]]


def _fields(path: Path) -> dict[str, int]:
    """`Name:   123 kB` lines as numbers."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
    return {name: int(value.split()[0]) for name, value in pairs}
