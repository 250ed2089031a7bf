"""How far projections are behind the log, as every process can see it, leading or not."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import asyncpg
from chassis.postgres import DATABASE_ERRORS

from ledger.projections.projection import Projection
from ledger.projector.metrics import LAG_EVENTS, LAG_SECONDS
from ledger.store.projected.tracks import Lag, load_lags

LOOK_SECONDS: Final = 1.0


class Lags:
    """Looks every second for the metrics, and whenever readiness is asked for."""

    def __init__(self, pool: asyncpg.Pool, projections: Sequence[Projection], most_seconds: float) -> None:
        self._pool = pool
        self._projections = projections
        self._most_seconds = most_seconds

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with contextlib.suppress(*DATABASE_ERRORS):  # readiness, which looks for itself, tells of them
                await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def why_not_ready(self) -> str | None:
        """Each projection that can't be read yet, or is too far behind."""
        lags = {lag.name: lag for lag in await self._look()}
        reasons = [reason for each in self._projections if (reason := self._reason(each, lags.get(each.name)))]
        return "; ".join(reasons) or None

    async def _look(self) -> list[Lag]:
        async with self._pool.acquire() as connection:
            lags = await load_lags(connection)
        for lag in lags:
            LAG_EVENTS.labels(lag.name).set(lag.events)
            LAG_SECONDS.labels(lag.name).set(lag.seconds)
        return lags

    def _reason(self, projection: Projection, lag: Lag | None) -> str | None:
        if lag is None:
            return f"{projection.name} is being built"
        if lag.version > projection.version:
            return f"{projection.name} has version {lag.version} of a newer projector, this knows {projection.version}"
        if lag.seconds > self._most_seconds:
            return f"{projection.name} is {lag.events} events behind, by {lag.seconds:.0f} s"
        return None
