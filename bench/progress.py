"""What the benchmark tells a person while it runs, on standard error."""

import sys


def say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()
