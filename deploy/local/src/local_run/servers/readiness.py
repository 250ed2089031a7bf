"""When a server that was just started answers."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from typing import Final

from local_run.ports import PortLostError, is_free

START_TIMEOUT_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.02


async def wait_until_answering(
    child: Process, part: str, port: int, answers: Callable[[], Awaitable[bool]], failure: type[Exception]
) -> None:
    """Return when `answers` says so; it may raise what it finds out beyond that.

    Raises:
        PortLostError: another program listens on the port of `part`.
        failure: the server ended, or did not answer within START_TIMEOUT_SECONDS.
    """
    try:
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            while not await answers():
                if child.returncode is not None:
                    if not is_free(port):
                        raise PortLostError(part, port)
                    raise failure(f"{part} ended with code {child.returncode}")
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        raise failure(f"{part} did not answer within {START_TIMEOUT_SECONDS:g} s") from None
