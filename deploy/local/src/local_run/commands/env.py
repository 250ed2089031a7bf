"""`python -m local_run.commands.env`: addresses with operator rights, and ports, as `export` lines for a shell."""

import shlex
import sys

from local_run.commands.output import print_lines
from local_run.data_folder import DataFolder, DataFolderError


def main() -> None:
    try:
        environment = DataFolder.from_environment().load_operator_environment()
    except DataFolderError as error:
        sys.exit(str(error))
    print_lines(
        f"export {name}={shlex.quote(value)}"
        for name, value in sorted(environment.items())
        if name.endswith("_PORT") or name in {"SOLARIS_DATABASE_URL", "SOLARIS_NATS_URL"}
    )


if __name__ == "__main__":
    main()
