"""Reads comma-separated values as spreadsheets write them: with semicolons, in Latin-1, with signs before formulas."""

import csv
from collections.abc import Iterator
from io import TextIOWrapper
from typing import Final

from chassis.operate.errors import BadInputError

from ledger.operate.people_files.json_records import Record
from ledger.operate.people_files.opening import MAX_RECORD_BYTES

DELIMITERS: Final = ";,\t"
_FORMULA_SIGNS: Final = "=+-@"


def records_of_csv(file: TextIOWrapper) -> Iterator[Record]:
    """A record a row, by the names of its header.

    Raises:
        BadInputError: no header, or a quote that is never closed.
    """
    lines = _lines(file)
    header = next(lines, "").rstrip("\r\n")
    delimiter = max(DELIMITERS, key=header.count)
    if header.lower().startswith("sep=") and len(header) == len("sep=;"):
        delimiter, header = header[-1], next(lines, "").rstrip("\r\n")
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    csv.field_size_limit(MAX_RECORD_BYTES)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
                yield f"{len(cells)} cells, where the header has {len(names)}"
                continue
            yield {name: _plain(cell) for name, cell in zip(names, cells, strict=False)}
    except csv.Error as error:
        raise BadInputError(f"FILE: near line {rows.line_num + 1}: {error}") from None


def _lines(file: TextIOWrapper) -> Iterator[str]:
    while line := file.readline(MAX_RECORD_BYTES):
        if len(line) == MAX_RECORD_BYTES:
            raise BadInputError(f"FILE: a line is longer than {MAX_RECORD_BYTES} characters")
        yield line


def _plain(cell: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from reading a formula."""
    return cell[1:] if cell.startswith("'") and cell[1:].lstrip(" ").startswith(tuple(_FORMULA_SIGNS)) else cell
