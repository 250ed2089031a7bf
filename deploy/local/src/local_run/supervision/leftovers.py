"""Processes that a killed supervisor left: they are about to die, and hold ports and data until then."""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from local_run.data_folder import RecordedProcess

PATIENCE_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.02


def start_ticks(pid: int) -> int:
    """When a process started, in ticks since boot; with the pid it names a process for good. 0 if unknown."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def is_alive(process: RecordedProcess) -> bool:
    """Whether that very process lives; one whose pid went to another, and one that nobody has reaped, do not."""
    if process.started_ticks == 0:
        return False
    try:
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and start_ticks(process.pid) == process.started_ticks


def end_leftovers(processes: Mapping[str, RecordedProcess]) -> None:
    """Wait until none lives: the kernel has told them to end; those that have not in time are killed."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    living = [process for process in processes.values() if is_alive(process)]
    while living:
        if time.monotonic() > deadline:
            for process in living:
                os.kill(process.pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
        living = [process for process in living if is_alive(process)]
