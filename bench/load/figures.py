"""Small statistics."""

from collections.abc import Iterable, Sequence
from statistics import median


def percentile(ordered: Sequence[float], rank: float) -> float:
    """The value at a rank of 0 to 100 in an ordered sequence; 0 where there is none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(len(ordered) * rank / 100))]


def median_or_none(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
