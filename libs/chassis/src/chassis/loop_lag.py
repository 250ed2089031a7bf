"""How long work waits for the event loop."""

import asyncio
from collections import deque
from typing import Final

INTERVAL_SECONDS: Final = 0.1
KEPT: Final = 100
"""Observations: the last ten seconds."""


class LoopLag:
    """Wakes ten times a second, and notes how much later than it should."""

    def __init__(self) -> None:
        self._lags: deque[float] = deque([0.0], maxlen=KEPT)

    @property
    def seconds(self) -> float:
        """The longest of the last ten seconds."""
        return max(self._lags)

    async def watch(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL_SECONDS
            await asyncio.sleep(INTERVAL_SECONDS)
            self._lags.append(max(0.0, loop.time() - due))
