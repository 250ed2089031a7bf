"""Arrays of figures, words and times as parameters of statements, as text: `$1::text::bigint[]`.

asyncpg asks of each element of an array whether it is an array itself, which costs ten times what writing it costs.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime


def figures(values: Iterable[int]) -> str:
    """For `::text::bigint[]`."""
    return "{" + ",".join(map(str, values)) + "}"


def words(values: Sequence[str]) -> str:
    """For `::text::text[]`, whatever stands in them."""
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        joined = '","'.join(value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return f'{{"{joined}"}}' if values else "{}"


def moments(values: Iterable[datetime | None]) -> str:
    """For `::text::timestamptz[]`; the times have an offset."""
    return "{" + ",".join(["NULL" if value is None else value.isoformat() for value in values]) + "}"
