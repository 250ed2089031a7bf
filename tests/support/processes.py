"""The processes of a stack as Linux shows them."""

import os
from collections.abc import Iterable
from pathlib import Path


def processes_below(directory: Path) -> list[str]:
    """Command lines of processes that name the folder, in their arguments or their environment (Linux)."""
    wanted = os.fsencode(directory)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            named = wanted in command or wanted in (entry / "environ").read_bytes()
            if named and b"pytest" not in command:
                found.append(f"{entry.name} {command.replace(bytes(1), b' ').decode(errors='replace')}")
        except OSError:
            continue
    return found


def all_dead(pids: Iterable[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)
