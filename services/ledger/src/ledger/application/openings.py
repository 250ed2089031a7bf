"""Caps how fast one service key may open unknown accounts."""

from datetime import UTC, datetime
from typing import Final

from ledger.domain.rate_limits import pace

MAX_KEYS: Final = 1_024


class Openings:
    """One limiter a key, in memory: a cap on abuse, not an account of anything."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._allowed_at: dict[str, datetime] = {}

    def allow(self, key_id: str) -> bool:
        """Whether this key may open one more account now; counts it if so."""
        paced = pace(self._allowed_at.get(key_id), self._per_minute, 1, datetime.now(UTC))
        if paced.retry_after is not None or paced.allowed_at is None:
            return False
        if key_id not in self._allowed_at and len(self._allowed_at) >= MAX_KEYS:
            self._allowed_at.pop(next(iter(self._allowed_at)))
        self._allowed_at[key_id] = paced.allowed_at
        return True
