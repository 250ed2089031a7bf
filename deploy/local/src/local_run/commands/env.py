"""`python -m local_run.commands.env`: what operators' verbs read of the running stack, as `export` lines."""

import shlex
import sys

from local_run.commands.output import print_lines
from local_run.data_folder import DataFolder, DataFolderError


def main() -> None:
    try:
        environment = DataFolder.from_environment().load_operator_environment()
    except DataFolderError as error:
        sys.exit(str(error))
    print_lines(f"export {name}={shlex.quote(value)}" for name, value in sorted(environment.items()))


if __name__ == "__main__":
    main()
