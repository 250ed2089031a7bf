"""Records as a table that a person reads: words to the left, figures to the right with their thousands."""

from collections.abc import Sequence
from decimal import Decimal

type Cell = str | int | Decimal | None


def table_text(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """The columns' names, then a line for each row; what is not there is blank."""
    cells = [[_cell(value) for value in row] for row in rows]
    are_figures = [all(not isinstance(row[number], str) for row in rows) for number in range(len(columns))]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    lines = (
        "  ".join(
            text.rjust(width) if figures else text.ljust(width)
            for text, width, figures in zip(row, widths, are_figures, strict=True)
        ).rstrip()
        for row in (columns, *cells)
    )
    return "\n".join(lines) + "\n"


def _cell(value: Cell) -> str:
    match value:
        case None:
            return ""
        case int():
            return f"{value:,}"
        case Decimal():
            return f"{value:,f}"
    # What somebody typed moves no cursor of a terminal.
    return "".join(char if char.isprintable() else " " for char in value)
