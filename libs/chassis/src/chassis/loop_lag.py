"""How long work waits for the event loop."""

import asyncio
from collections import deque
from typing import Final

from prometheus_client import Gauge

INTERVAL_SECONDS: Final = 0.1
KEPT: Final = 100
"""Observations: the last ten seconds."""


async def watch_loop_lag(longest: Gauge) -> None:
    """Wake ten times a second, and show by how much the latest of the last ten seconds was late."""
    loop = asyncio.get_running_loop()
    lags: deque[float] = deque(maxlen=KEPT)
    while True:
        due = loop.time() + INTERVAL_SECONDS
        await asyncio.sleep(INTERVAL_SECONDS)
        lags.append(max(0.0, loop.time() - due))
        longest.set(max(lags))
