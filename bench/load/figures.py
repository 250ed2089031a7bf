"""Small statistics."""

from collections.abc import Sequence


def percentile(ordered: Sequence[float], rank: float) -> float:
    """The value at a rank of 0 to 100 in an ordered sequence; 0 where there is none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(len(ordered) * rank / 100))]
