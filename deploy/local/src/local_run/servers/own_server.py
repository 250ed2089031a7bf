"""What our own servers have in common: the package that carries them, when they answer, and running one alone."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Final

from local_run.ports import PortLostError, is_free
from local_run.supervision import process
from local_run.supervision.process import Program, ProgramError

START_TIMEOUT_SECONDS: Final = 60.0
STOP_TIMEOUT_SECONDS: Final = 8.0
_PAUSE_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnServer(ABC):
    """One server below `directory`, which it owns; `part` is its name in the table."""

    part: ClassVar[str]

    directory: Path
    port: int

    @abstractmethod
    def program(self) -> Program:
        """The server itself."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it takes connections.

        Raises:
            PortLostError: somebody else does, on its port.
        """

    async def wait_until_ready(self, child: Process) -> None:
        """Return when it answers.

        Raises:
            PortLostError: another program listens on its port.
            ProgramError: it ended, or did not answer within START_TIMEOUT_SECONDS.
        """
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                while not await self.answers():
                    if child.returncode is not None:
                        if not is_free(self.port):
                            raise PortLostError(self.part, self.port)
                        raise ProgramError(f"{self.part} ended with code {child.returncode}")
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            raise ProgramError(f"{self.part} did not answer within {START_TIMEOUT_SECONDS:g} s") from None


@contextlib.asynccontextmanager
async def running[Server: OwnServer](server: Server) -> AsyncIterator[Server]:
    """The server for the length of the block, without a supervisor; its output is added to a log in its folder."""
    program = server.program()
    with (server.directory / f"{server.part}.log").open("ab") as output:
        child = await process.start(program, output=output)
    try:
        await server.wait_until_ready(child)
        yield server
    finally:
        await process.stop(child, program, STOP_TIMEOUT_SECONDS)


def bundled(package: str, *path: str) -> str:
    """A server's program inside of the package that carries it."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ProgramError(f"the package {package}, which carries a server, is not installed")
    return str(Path(found.origin).parent.joinpath(*path))
