"""Arrays of figures, words and times as parameters of statements, as text: `$1::text::bigint[]`.

asyncpg asks of each element of an array whether it is an array itself, which costs ten times what writing it costs.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import cast


def figures(values: Iterable[int | None]) -> str:
    """For `::text::bigint[]`, and of truths for `::text::boolean[]`."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def words(values: Sequence[str | None]) -> str:
    """For `::text::text[]`, whatever stands in them."""
    if None in values:
        return "{" + ",".join(["NULL" if value is None else f'"{_escaped(value)}"' for value in values]) + "}"
    known = cast(Sequence[str], values)
    joined = '","'.join(known)
    if "\\" in joined or joined.count('"') != 2 * (len(known) - 1):
        joined = '","'.join(map(_escaped, known))
    return f'{{"{joined}"}}' if known else "{}"


def moments(values: Iterable[datetime | None]) -> str:
    """For `::text::timestamptz[]`; the times have an offset."""
    return "{" + ",".join(["NULL" if value is None else value.isoformat() for value in values]) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
