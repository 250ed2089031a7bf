"""What our own servers have in common: the package that carries them, when they answer, and running one alone."""

import asyncio
import contextlib
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from local_run.ports import PortLostError, is_free
from local_run.supervision import process
from local_run.supervision.process import Program, ProgramError

START_TIMEOUT_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.02


async def wait_until_answering(child: Process, part: str, port: int, answers: Callable[[], Awaitable[bool]]) -> None:
    """Return when `answers` says so; it may raise what it finds out beyond that.

    Raises:
        PortLostError: another program listens on the port of `part`.
        ProgramError: the server ended, or did not answer within START_TIMEOUT_SECONDS.
    """
    try:
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            while not await answers():
                if child.returncode is not None:
                    if not is_free(port):
                        raise PortLostError(part, port)
                    raise ProgramError(f"{part} ended with code {child.returncode}")
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        raise ProgramError(f"{part} did not answer within {START_TIMEOUT_SECONDS:g} s") from None


@contextlib.asynccontextmanager
async def running(
    program: Program, log: Path, wait_until_ready: Callable[[Process], Awaitable[None]], stop_seconds: float
) -> AsyncIterator[None]:
    """The server for the length of the block, without a supervisor; its output is added to `log`."""
    with log.open("ab") as output:
        child = await process.start(program, output=output)
    try:
        await wait_until_ready(child)
        yield
    finally:
        await process.stop(child, program, stop_seconds)


def bundled(package: str, *path: str) -> str:
    """A server's program inside of the package that carries it."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ProgramError(f"the package {package}, which carries a server, is not installed")
    return str(Path(found.origin).parent.joinpath(*path))
