"""Arrays of figures and times as parameters of statements, as text: `$1::text::bigint[]`.

asyncpg asks of each element of an array whether it is an array itself, which costs ten times what writing it costs.
"""

from collections.abc import Iterable
from datetime import datetime


def figures(values: Iterable[int]) -> str:
    """For `::text::bigint[]`."""
    return "{" + ",".join(map(str, values)) + "}"


def moments(values: Iterable[datetime]) -> str:
    """For `::text::timestamptz[]`; the times have an offset."""
    return "{" + ",".join(map(datetime.isoformat, values)) + "}"
