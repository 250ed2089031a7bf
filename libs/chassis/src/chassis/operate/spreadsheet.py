"""Records as comma-separated values that a spreadsheet opens as what they are, and never as formulas."""

import csv
import io
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from chassis.operate.output import standard_output

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""With what a cell begins that Excel, LibreOffice or Google Sheets takes for a formula; of full width, some do too."""


async def write_rows(columns: Sequence[str], rows: AsyncIterator[Mapping[str, object]]) -> None:
    """To standard output, with a header, in UTF-8 and the rest as RFC 4180 has it; raises as `write_text`."""
    _write_row(columns)
    async for row in rows:
        _write_row([cell_of(row[column]) for column in columns])


def cell_of(value: object) -> str:
    """A cell's text: an apostrophe before whatever would be a formula, nothing for what is not there."""
    match value:
        case None:
            return ""
        case int():
            return str(value)
        case datetime():
            return value.isoformat()
    text = str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def write_text(text: str) -> None:
    """To standard output; raises as `chassis.operate.output.write_line`."""
    with standard_output():
        sys.stdout.buffer.write(text.encode())


def _write_row(cells: Sequence[str]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    write_text(text.getvalue())
