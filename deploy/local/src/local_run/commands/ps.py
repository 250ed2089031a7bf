"""`python -m local_run.commands.ps`: one JSON line per running process, from the data folder alone."""

import json
import sys

from local_run.commands.output import print_lines
from local_run.data_folder import DataFolder, DataFolderError
from local_run.supervision.leftovers import is_alive


def running_processes(folder: DataFolder) -> dict[str, int]:
    """Pid by service, of each process that the supervisor started and that still lives."""
    if not folder.is_in_use():
        return {}
    recorded = folder.load_processes().items()
    return {service: one.pid for service, one in recorded if one.started_ticks == 0 or is_alive(one)}


def main() -> None:
    folder = DataFolder.from_environment()
    try:
        running = running_processes(folder)
    except DataFolderError as error:
        sys.exit(str(error))
    if not running:
        sys.stderr.write(f"nothing runs on {folder.path}\n")
    print_lines(json.dumps({"service": service, "pid": pid}) for service, pid in running.items())


if __name__ == "__main__":
    main()
