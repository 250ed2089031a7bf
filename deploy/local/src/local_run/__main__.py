"""`python -m local_run [--stop-with-parent]`: the whole stack in the foreground."""

import sys

from local_run.supervisor import run

if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - {"--stop-with-parent"}
    if unknown:
        sys.exit(f"usage: {__doc__}")
    sys.exit(run(stop_with_parent="--stop-with-parent" in sys.argv[1:]))
