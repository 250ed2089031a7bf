"""Prints a command's lines, or says in one line that standard output does not take them."""

import sys
from collections.abc import Iterable

from chassis.operate.errors import RefusedError
from chassis.operate.output import standard_output


def print_lines(lines: Iterable[str]) -> None:
    """Write and hand over; ends the program with exit code 1 where the output is full, for instance."""
    try:
        with standard_output():
            sys.stdout.writelines(f"{line}\n" for line in lines)
            sys.stdout.flush()
    except BrokenPipeError:
        pass  # a reader that leaves early has what it wanted
    except RefusedError as error:
        sys.exit(str(error))
