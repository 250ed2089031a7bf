"""Cuts a long JSON text into its records without holding more than one of them."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from chassis.operate.errors import BadInputError
from contracts.codec import DECODE_ERRORS
from msgspec import json

from ledger.operate.people_files.opening import MAX_RECORD_BYTES

_MARK: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)|[{}\[\]]', re.DOTALL)
"""A string, whose end may not have been read yet, or a bracket."""
_BETWEEN: Final = re.compile(rb"[\s,]*")

type Record = dict[str, Any] | str
"""What a record says, or why it can't be read."""


def records_of_lines(chunks: Iterable[bytes]) -> Iterator[Record]:
    """One record a line; blank lines are none. Raises as `records_of_text`."""
    buffer = b""
    for chunk in chunks:
        *lines, buffer = (buffer + chunk).split(b"\n")
        if len(buffer) > MAX_RECORD_BYTES:
            raise BadInputError(f"FILE: a line is longer than {MAX_RECORD_BYTES} bytes")
        for line in lines:
            if line.strip():
                yield _decoded(line)
    if buffer.strip():
        yield _decoded(buffer)


def records_of_text(chunks: Iterable[bytes], depth: int) -> Iterator[Record]:
    """The objects that stand within `depth` brackets, however they are laid out.

    Raises:
        BadInputError: one is longer than a record may be, or the text ends in the middle.
    """
    cutter = _Cutter(depth)
    for chunk in chunks:
        yield from cutter.feed(chunk)
    cutter.end()


class _Cutter:
    def __init__(self, depth: int) -> None:
        self._wanted = depth
        self._depth = 0
        self._buffer = b""
        self._seen = 0
        self._begins: int | None = None

    def feed(self, chunk: bytes) -> Iterator[Record]:
        self._buffer += chunk
        at = self._seen
        between = 0
        for mark in _MARK.finditer(self._buffer, self._seen):
            sign = self._buffer[mark.start()]
            if sign == ord('"'):
                if not mark[1]:
                    break
                at = mark.end()
                continue
            at = mark.end()
            if sign in b"{[":
                if self._begins is None and self._depth == self._wanted and sign == ord("{"):
                    yield from self._strays(between, mark.start())
                    self._begins = mark.start()
                self._depth += 1
                continue
            self._depth -= 1
            if self._depth < 0:
                raise BadInputError("FILE: it is no JSON: a bracket is closed that was never opened")
            if self._begins is not None and self._depth == self._wanted:
                yield _decoded(self._buffer[self._begins : at])
                self._begins, between = None, at
        self._let_go(at)

    def end(self) -> None:
        if self._depth or self._begins is not None:
            raise BadInputError("FILE: it ends in the middle of a record: it was cut off, or is no JSON")

    def _strays(self, start: int, end: int) -> Iterator[str]:
        """Between records of a list or a sequence nothing stands but commas."""
        text = self._buffer[start:end].lstrip(b"[\xef\xbb\xbf") if start == 0 else self._buffer[start:end]
        if self._wanted < 2 and not _BETWEEN.fullmatch(text):
            yield "not JSON"

    def _let_go(self, at: int) -> None:
        """Of what is done; what is begun stays, and is looked at from where it stopped."""
        kept = at if self._begins is None else self._begins
        self._buffer = self._buffer[kept:]
        self._seen = at - kept
        self._begins = None if self._begins is None else 0
        if len(self._buffer) > MAX_RECORD_BYTES:
            raise BadInputError(f"FILE: a record is longer than {MAX_RECORD_BYTES} bytes")


def _decoded(text: bytes) -> Record:
    try:
        record = json.decode(text)
    except DECODE_ERRORS:
        return "not JSON"
    return record if isinstance(record, dict) else "no record of a person"
