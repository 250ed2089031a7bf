"""`python -m local_run.env`: addresses with operator rights, and ports, as `export` lines for a shell."""

import shlex
import sys

from local_run.data_folder import DataFolder, DataFolderError


def main() -> None:
    try:
        environment = DataFolder.from_environment().load_operator_environment()
    except DataFolderError as error:
        sys.exit(str(error))
    for name, value in sorted(environment.items()):
        if name.endswith("_PORT") or name in {"SOLARIS_DATABASE_URL", "SOLARIS_NATS_URL"}:
            sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


if __name__ == "__main__":
    main()
