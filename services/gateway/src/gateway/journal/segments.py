"""The journal's files: numbered segments of JSON lines, read from a cursor."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SUFFIX: Final = ".jsonl"
READ_BYTES: Final = 512 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the journal: a segment's number and an offset in bytes, always at the beginning of a line."""

    segment: int
    offset: int


BEGINNING: Final = Cursor(0, 0)


class Segments:
    """The segment files of one folder."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, number: int) -> Path:
        return self._directory / f"{number:012}{_SUFFIX}"

    def numbers(self) -> list[int]:
        """The numbers of all segments, oldest first."""
        return sorted(int(path.stem) for path in self._directory.glob(f"*{_SUFFIX}") if path.stem.isdecimal())

    def size(self, number: int) -> int:
        """Bytes of a segment; 0 when it is gone."""
        try:
            return self.path(number).stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, cursor: Cursor, max_lines: int) -> tuple[list[bytes], Cursor]:
        """Complete lines from the cursor on, and the cursor behind them; no lines at the journal's end.

        A last line without its end is not there yet in the newest segment, and torn in an older one: it is left out.
        """
        while True:
            lines, end = self._read_segment(cursor, max_lines)
            if lines:
                return lines, end
            later = [number for number in self.numbers() if number > cursor.segment]
            if not later:
                return [], cursor
            cursor = Cursor(later[0], 0)

    def _read_segment(self, cursor: Cursor, max_lines: int) -> tuple[list[bytes], Cursor]:
        try:
            file = os.open(self.path(cursor.segment), os.O_RDONLY)
        except FileNotFoundError:
            return [], cursor
        try:
            block = os.pread(file, READ_BYTES, cursor.offset)
        finally:
            os.close(file)
        lines = block.split(b"\n")[:-1][:max_lines]
        return lines, Cursor(cursor.segment, cursor.offset + sum(len(line) + 1 for line in lines))

    def bytes_between(self, start: Cursor, end: Cursor) -> int:
        """Bytes from one cursor to another."""
        if start >= end:
            return 0
        whole = sum(self.size(number) for number in self.numbers() if start.segment <= number < end.segment)
        return whole + end.offset - start.offset
