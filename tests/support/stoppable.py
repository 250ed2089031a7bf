"""A server of a test's own that is stopped as by an operator, or dies as by kill -9, and is started again."""

import contextlib
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from local_run.servers.own_server import STOP_TIMEOUT_SECONDS, OwnServer
from local_run.servers.postgres import PostgresServer
from local_run.supervision import process
from local_run.supervision.process import ProgramError

STARTS: Final = 20


@dataclass
class Stoppable:
    """On its port and its folder again after each start."""

    server: OwnServer
    _child: Process | None = None

    async def start(self) -> None:
        """Wait until it answers. What was killed may keep its memory for a moment: then it is started once more."""
        for attempt in range(STARTS):
            if isinstance(self.server, PostgresServer):
                self.server.remove_stale_lock()
            with (self.server.directory / f"{self.server.part}.log").open("ab") as output:
                self._child = await process.start(self.server.program(), output=output)
            try:
                await self.server.wait_until_ready(self._child)
            except ProgramError:
                if attempt == STARTS - 1:
                    raise
            else:
                return

    async def stop(self) -> None:
        if self._child is not None:
            await process.stop(self._child, self.server.program(), STOP_TIMEOUT_SECONDS)

    async def kill(self) -> None:
        assert self._child is not None
        self._child.send_signal(signal.SIGKILL)
        await self._child.wait()


@contextlib.asynccontextmanager
async def started(server: OwnServer) -> AsyncIterator[Stoppable]:
    """Started for the block, and stopped after it."""
    stoppable = Stoppable(server)
    await stoppable.start()
    try:
        yield stoppable
    finally:
        await stoppable.stop()
