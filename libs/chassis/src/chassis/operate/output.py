"""JSON lines on standard output, and nothing else."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

from msgspec import json

from chassis.operate.errors import RefusedError

_encoder = json.Encoder()


def write_line(value: object) -> None:
    """One JSON value, one line.

    Raises:
        RefusedError: standard output does not take it; the disk is full, for instance.
        BrokenPipeError: its reader has gone.
    """
    with standard_output():
        sys.stdout.buffer.write(_encoder.encode(value) + b"\n")


def write_lines(values: Sequence[object]) -> None:
    """As `write_line`, one line each."""
    with standard_output():
        sys.stdout.buffer.write(_encoder.encode_lines(values))


@contextlib.contextmanager
def standard_output() -> Iterator[None]:
    """Around whatever writes to it; raises as `write_line`."""
    try:
        yield
    except OSError as error:
        # To nowhere from here on, so that the interpreter's own last flush does not stumble over the same again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise RefusedError(f"standard output: {error.strerror}") from error
