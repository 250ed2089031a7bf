"""`python -m local_run [--stop-with-parent]`: the whole stack in the foreground."""

import sys


def main() -> int:
    unknown = set(sys.argv[1:]) - {"--stop-with-parent"}
    if unknown:
        sys.exit(f"usage: {__doc__}")
    try:
        from local_run.supervisor import run  # noqa: PLC0415  it takes long enough for a Ctrl-C

        return run(stop_with_parent="--stop-with-parent" in sys.argv[1:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
