"""What happens when: acts in the order of their time, each of which may plan more."""

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

type Act = Callable[[datetime], object]


class Timeline:
    """Acts until `ends_at`; what is planned for later does not happen."""

    def __init__(self, ends_at: datetime) -> None:
        self.ends_at = ends_at
        self._due: list[tuple[datetime, int, Act]] = []
        self._order = count()

    def plan(self, at: datetime, act: Act) -> None:
        heapq.heappush(self._due, (at, next(self._order), act))

    def before_end(self, **units: float) -> datetime:
        """So long before the end: `days=2`."""
        return self.ends_at - timedelta(**units)

    def run(self) -> None:
        while self._due and self._due[0][0] <= self.ends_at:
            at, _, act = heapq.heappop(self._due)
            act(at)
