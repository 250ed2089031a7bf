"""JSON lines on standard output, and nothing else."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

from contracts.errors import SolarisError
from msgspec import json

_encoder = json.Encoder()


class OutputError(SolarisError):
    """What was printed can't be kept: the disk is full, for instance."""


def write_line(value: object) -> None:
    """One JSON value, one line.

    Raises:
        OutputError: standard output does not take it.
    """
    with _output():
        sys.stdout.buffer.write(_encoder.encode(value) + b"\n")


def write_lines(values: Sequence[object]) -> None:
    """As `write_line`, one line each."""
    with _output():
        sys.stdout.buffer.write(_encoder.encode_lines(values))


def finish() -> None:
    """Hand over what is buffered; a reader that has gone (`| head`) has all that it wanted.

    Raises:
        OutputError: standard output does not take it.
    """
    try:
        with _output():
            sys.stdout.flush()
    except BrokenPipeError:
        abandon()


@contextlib.contextmanager
def _output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon()
        raise OutputError(f"standard output: {error.strerror}") from error


def abandon() -> None:
    """Point standard output to nowhere, so that the interpreter's own last flush finds no broken pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
