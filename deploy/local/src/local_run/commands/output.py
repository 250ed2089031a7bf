"""Prints a command's lines, or says in one line that standard output does not take them."""

import os
import sys
from collections.abc import Iterable


def print_lines(lines: Iterable[str]) -> None:
    """Write and hand over; ends the program with exit code 1 where the output is full, for instance."""
    try:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
    except OSError as error:
        # The interpreter's own last flush must not stumble over the same again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            sys.exit(f"standard output: {error.strerror}")
