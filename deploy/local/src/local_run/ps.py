"""`python -m local_run.ps`: one JSON line for each running process of the stack, from the data folder alone."""

import json
import os
import sys
from pathlib import Path

from local_run.data_folder import DataFolder, DataFolderError


def running_processes(folder: DataFolder) -> list[dict[str, str | int]]:
    """{service, pid} of each process that the supervisor started and that still lives."""
    if not folder.is_in_use():
        return []
    return [{"service": service, "pid": pid} for service, pid in folder.load_processes().items() if _lives(pid)]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except OSError:  # no /proc on this system, or the process is gone just now
        return not Path("/proc/self").exists()
    return state != "Z"


def main() -> None:
    folder = DataFolder.from_environment()
    try:
        running = running_processes(folder)
    except DataFolderError as error:
        sys.exit(str(error))
    if not running:
        sys.stderr.write(f"nothing runs on {folder.path}\n")
    for process in running:
        sys.stdout.write(json.dumps(process) + "\n")


if __name__ == "__main__":
    main()
