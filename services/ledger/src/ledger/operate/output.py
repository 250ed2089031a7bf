"""JSON lines on standard output, and nothing else."""

import os
import sys
from collections.abc import Sequence

from msgspec import json

_encoder = json.Encoder()


def write_line(value: object) -> None:
    """One JSON value, one line."""
    sys.stdout.buffer.write(_encoder.encode(value) + b"\n")


def write_lines(values: Sequence[object]) -> None:
    sys.stdout.buffer.write(_encoder.encode_lines(values))


def finish() -> None:
    """Hand over what is buffered; a reader that has gone (`| head`) has all that it wanted."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        abandon()


def abandon() -> None:
    """Point standard output to nowhere, so that the interpreter's own last flush finds no broken pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
